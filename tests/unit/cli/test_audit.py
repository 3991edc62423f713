"""cli/audit.py: a journal that is longer than what is shown says so, and what is asked in vain is said."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import journal
from tests.fakes.certificates import NOW, agent
from tests.fakes.command_line import CommandLine, InProcess
from tests.fakes.operators_api import Api, operators_api

WHO = agent(7)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An API whose journal takes several pages to read, the first entries of which are known."""
    monkeypatch.setattr("distribution.cli.audit._PAGE", 2)
    with operators_api(tmp_path) as served:
        with served.services.database.write() as connection:
            for kind, actor, subject, detail in (
                ("channel.set", "operator:ann", "channel:stable", {}),
                ("agent.revoked", "operator:ann", f"agent:{WHO}", {}),
                ("bearer.created", "operator:ann", "bearer:b1", {"agent": str(WHO)}),
                ("package.installed", f"agent:{WHO}", "package:otelcol", {}),
                ("channel.set", "operator:bob", "channel:beta", {}),
            ):
                journal.append(connection, kind=kind, actor=actor, subject=subject, detail=detail, at=NOW)
        yield served


@pytest.fixture
def quartermaster(served: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(InProcess(served, "read", tmp_path), capsys)


def numbers(quartermaster: CommandLine, *words: str) -> list[int]:
    return [entry["number"] for entry in quartermaster.json("audit", "log", *words)["entries"]]


def test_a_longer_journal_says_how_to_go_on(quartermaster: CommandLine) -> None:
    """It does not stop silently at its oldest entries; the last page promises nothing."""
    every = numbers(quartermaster)
    quartermaster("audit", "log", "--limit", "3")
    assert quartermaster.stderr == f"3 entries, and there are more; the next ones: --after {every[2]}\n"
    quartermaster("audit", "log", "--limit", str(len(every)))
    assert quartermaster.stderr == ""
    found = quartermaster.json("audit", "log", "--limit", "3")
    assert found["next"] == every[2]
    assert numbers(quartermaster, "--after", str(found["next"])) == every[3:]


def test_the_newest_come_first(quartermaster: CommandLine) -> None:
    """And lead back to the first entry; what is newer than `--after` is enough."""
    every = numbers(quartermaster)
    assert numbers(quartermaster, "--newest") == every[::-1]
    quartermaster("audit", "log", "--newest", "--limit", "2")
    assert f"the next ones: --newest --before {every[-2]}" in quartermaster.stderr
    assert numbers(quartermaster, "--newest", "--before", str(every[-2])) == every[-3::-1]
    assert numbers(quartermaster, "--newest", "--after", str(every[-3])) == every[:-3:-1]
    quartermaster("audit", "log", "--before", "3", code=2)


def test_what_concerns_one_agent_or_thing(quartermaster: CommandLine) -> None:
    """About it, by it, or about a token of it; a subject is taken word for word."""
    every = numbers(quartermaster)
    assert numbers(quartermaster, "--agent", str(WHO).upper()) == every[1:4]
    assert numbers(quartermaster, "--subject", "channel:beta") == [every[4]]
    assert numbers(quartermaster, "--subject", f"agent:{WHO}", "--kind", "agent.revoked") == [every[1]]


def test_a_kind_that_nothing_has_is_said(quartermaster: CommandLine) -> None:
    """An empty table looks as if nothing of the kind had ever happened; it may be misspelt."""
    quartermaster("audit", "log", "--kind", "agent.revokd")
    assert quartermaster.stderr.startswith("no entry is of kind 'agent.revokd'; there are agent.revoked, ")
    quartermaster("audit", "log", "--kind", "agent.revoked", "--subject", "channel:none")
    assert quartermaster.stderr == "no entry fits\n"
