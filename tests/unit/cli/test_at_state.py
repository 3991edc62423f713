"""Commands that replace something whole name the state they are based on, or keep what is not given."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.domain.states import NEW
from tests.fakes.certificates import NOW
from tests.fakes.command_line import CommandLine, InProcess
from tests.fakes.operators_api import Api, operators_api

ALL = "read fleet security"
FILE = "acme/otelcol/{version}/linux-amd64/otelcol"
METRICS = ("connections", "set", "m", "own_metrics", "--endpoint", "https://otlp.example/v1/metrics")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as served:
        for version in ("1.0.0", "1.1.0"):
            served.world.release("acme", {FILE.format(version=version): version.encode()})
        served.services.catalogues.reload(NOW)
        yield served


@pytest.fixture
def quartermaster(served: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(InProcess(served, ALL, tmp_path), capsys)


def test_a_channel_keeps_its_selector(quartermaster: CommandLine) -> None:
    """A new version is for whom the old one was; that it is for all agents is said by its plain name."""
    quartermaster("channel", "set", "stable", "acme/otelcol@1.0.0", "--selector", "ring=a")
    kept = quartermaster.json("channel", "set", "stable", "acme/otelcol@1.1.0")
    assert (kept["version"], kept["selector"]) == ("1.1.0", {"ring": "a"})
    quartermaster(
        "channel", "set", "stable", "acme/otelcol@1.1.0", "--everybody", "--selector", "a=b", code=2
    )
    quartermaster("channel", "set", "stable", "acme/otelcol@1.1.0", "--everybody")
    assert "for all agents" in quartermaster.stderr
    assert quartermaster.json("channel", "list")["channels"][0]["selector"] == {}


def test_labels_are_added_to_those_that_operators_gave(served: Api, quartermaster: CommandLine) -> None:
    """Those of the token stay the token's."""
    who = served.enroll(1, ring="a")
    quartermaster("agents", "label", str(who), "site=x")
    quartermaster("agents", "label", str(who), "rack=7", "--add")
    found = quartermaster.json("agents", "show", str(who))
    assert found["given_labels"] == {"site": "x", "rack": "7"}
    assert found["labels"] == {"ring": "a", "site": "x", "rack": "7"}


def test_a_change_of_what_somebody_changed_is_refused(served: Api, quartermaster: CommandLine) -> None:
    """Each command names the state it was told, and says who was first."""
    who = served.enroll(1)
    quartermaster("channel", "set", "stable", "acme/otelcol@1.0.0")
    quartermaster(*METRICS)
    quartermaster("gateways", "grant", str(who))
    for words in (
        ("channel", "set", "stable", "acme/otelcol@1.1.0"),
        ("channel", "remove", "stable"),
        METRICS,
        ("connections", "remove", "m"),
        ("gateways", "grant", str(who), "--admit", "new"),
        ("gateways", "revoke", str(who)),
    ):
        line = quartermaster.refused(*words, "--at-state", NEW)
        assert "expected to be new: somebody changed it meanwhile" in line
        assert "by operator:op0)" in line
    for words in (("agents", "label", str(who), "a=b"), ("configs", "set-value", str(who), "a=b")):
        assert "somebody changed it meanwhile" in quartermaster.refused(*words, "--at-state", "0" * 32)


@pytest.mark.parametrize(
    ("noun", "part"), [("channel", "channels"), ("connections", "connections"), ("gateways", "gateways")]
)
def test_lists_show_the_state_that_a_command_takes(
    served: Api, quartermaster: CommandLine, noun: str, part: str
) -> None:
    """What a list shows is what `--at-state` takes."""
    who = served.enroll(1)
    again = {
        "channel": ("channel", "set", "stable", "acme/otelcol@1.0.0"),
        "connections": METRICS,
        "gateways": ("gateways", "grant", str(who)),
    }[noun]
    quartermaster(*again)
    [one] = quartermaster.json(noun, "list")[part]
    assert one["state"] in quartermaster(noun, "list")
    quartermaster(*again, "--at-state", one["state"])


def test_an_assignment_is_taken_away_at_the_step_that_was_seen(
    quartermaster: CommandLine, tmp_path: Path
) -> None:
    """A step that does not count any more is refused."""
    file = tmp_path / "base.yaml"
    file.write_text("a: 1")
    quartermaster("configs", "create", "base", str(file))
    for priority in ("1", "2"):
        quartermaster("configs", "assign", "base", "--everybody", "--priority", priority)
    assert "expected at step 1" in quartermaster.refused("configs", "unassign", "base", "--at-step", "1")
    quartermaster("configs", "unassign", "base", "--at-step", "2")
