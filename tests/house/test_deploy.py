"""The units in deploy/ start commands that exist, as somebody who is not root."""

import re
from pathlib import Path

import pytest

from tests.house.test_readme import fault_in, words
from tests.house.tree import ROOT

UNITS = sorted((ROOT / "deploy").glob("*.service"))


def says(text: str, key: str) -> str | None:
    """Return what a unit says of a key, the last time it says it."""
    found = re.findall(rf"(?m)^{key}=(.*)$", text)
    return found[-1] if found else None


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_of_ours(unit: Path) -> None:
    """The command that the unit starts is ours, with subcommands and options that it knows."""
    command = says(unit.read_text(encoding="utf-8"), "ExecStart")
    assert command is not None
    assert fault_in(words(command)) is None


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_not_root(unit: Path) -> None:
    """The unit names a user, and gains no privilege later."""
    text = unit.read_text(encoding="utf-8")
    assert (says(text, "User") or "root") != "root"
    assert says(text, "NoNewPrivileges") == "yes"


def test_there_are_units() -> None:
    """The server and the agent each have a unit."""
    assert [unit.name for unit in UNITS] == ["quartermaster-agent.service", "quartermaster.service"]
