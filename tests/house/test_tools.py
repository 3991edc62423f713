"""The formatter, the linter and the type checker have nothing to say."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "format", "--check", "."),
        ("ruff", "check", "--no-fix", "--quiet", "."),
        ("mypy",),
    ],
    ids=" ".join,
)
def test_the_tool_is_content(command: tuple[str, ...]) -> None:
    """The tool, with the settings in pyproject.toml, ends without a finding."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if ": note: " not in line]
    findings = "\n".join(lines)[-6000:] + done.stderr[-2000:]
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)} found:\n{findings}", pytrace=False)
