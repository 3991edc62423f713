"""Pages that repeat what the code says repeat it truly."""

import re

from distribution.agent.config import parse
from distribution.cli.configuration_page import render
from distribution.domain.package import PackageType
from tests.house.tree import ROOT

DOCS = ROOT / "docs"


def examples(text: str) -> list[str]:
    """Return the TOML files that a page shows."""
    return re.findall(r"(?ms)^```toml\n(.*?)^```", text)


def test_the_page_of_the_settings_is_the_generated_one() -> None:
    """Nobody edits the page by hand, and no setting is missing from it."""
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == render()


def test_the_documented_host_file_is_read() -> None:
    """The example of docs/protocol.md is a file that this agent accepts, and it says what the page says."""
    [example] = examples((DOCS / "protocol.md").read_text(encoding="utf-8"))
    config = parse(example)
    assert config.health.url == "http://127.0.0.1:13133/"
    assert config.program.environment == {"GOMEMLIMIT": "200MiB"}
    assert config.packages["geoip"].type is PackageType.ADDON


def test_the_host_file_of_the_readme_is_read() -> None:
    """The agent.toml of the README is a file that this agent accepts."""
    [example] = examples((ROOT / "README.md").read_text(encoding="utf-8"))
    config = parse(example)
    assert config.program.package == "otelcol"
    assert config.health.url == "http://127.0.0.1:13133/"
