"""The page that documents the settings is what the settings say; tests/house compares the kept page."""

from pathlib import Path

import pytest

from distribution.cli.configuration_page import main, render
from distribution.settings import every_setting


def test_every_setting_stands_on_the_page() -> None:
    """Key, variable and sentence of each setting are printed."""
    page = render()
    for setting in every_setting():
        assert f"`{setting.variable}` | {setting.described.text} |" in page


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a path it writes there; without one it says how it is used."""
    assert main([str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == render()
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
