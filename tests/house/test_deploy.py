"""The units in deploy/ start commands that exist, as somebody who is not root."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from distribution.settings import every_setting
from storage.engine import WAIT_SECONDS
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


def seconds_of(text: str, key: str) -> int:
    """Return a unit's time span, which ours write as whole seconds."""
    return int(says(text, key) or "0")


def test_the_server_has_time_to_stop() -> None:
    """The manager waits for longer than the connections are closed over, with a good margin."""
    text = (ROOT / "deploy" / "quartermaster.service").read_text(encoding="utf-8")
    assert says(text, "Type") == "notify"
    drain = next(one.default for one in every_setting() if one.name == "agents.drain_seconds")
    assert isinstance(drain, int)
    assert seconds_of(text, "TimeoutStopSec") >= drain + 2 * WAIT_SECONDS


def test_units_are_as_systemd_wants_them(tmp_path: Path) -> None:
    """What systemd itself says of the units: nothing. Where it is not installed, each line is one we know."""
    checker = shutil.which("systemd-analyze")
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8")
        for line in text.splitlines():
            assert re.fullmatch(r"(#.*|\[[A-Z][a-z]+\]|[A-Z][A-Za-z]+=.*|)", line), line
        if checker is not None:
            # The programs are not installed here; that they exist is another test's.
            copy = tmp_path / unit.name
            copy.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text), encoding="utf-8")
            done = subprocess.run(
                [checker, "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
            )
            complaints = [said for said in done.stderr.splitlines() if unit.name in said]
            assert complaints == []


def test_there_are_units() -> None:
    """The server and the agent each have a unit."""
    assert [unit.name for unit in UNITS] == ["quartermaster-agent.service", "quartermaster.service"]
