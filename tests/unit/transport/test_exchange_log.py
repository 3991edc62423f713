"""transport/exchange_log.py: what is logged of an exchange, and what never is."""

import asyncio
import logging
import time
from dataclasses import fields, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from distribution.domain.agent import AgentView, Components, Health, Report
from distribution.errors import MalformedError
from distribution.flows.watch import Watches
from distribution.protocol.offers import Reply
from distribution.protocol.session import Session, Standing, Turn
from distribution.transport import exchange_log as module
from distribution.transport.exchange_log import LINES, ExchangeLog, came, went
from keys.identity import AgentId

UID = UUID("01890000-0000-7000-8000-000000000001")
SECRET = "hunter2"
WELL = Health(healthy=True, status=SECRET, error=SECRET)
VIEW = AgentView(UID, health=WELL)
BEFORE = Session(VIEW, Standing.CURRENT)


def a_turn(view: AgentView = VIEW, **parts: object) -> Turn:
    return Turn(Reply(UID, **parts), replace(BEFORE, view=view))  # type: ignore[arg-type] # any part


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    """Return level, what came and what went of each line."""
    told = [vars(record) for record in caplog.records]
    return [(each["levelname"], each.get("came", ""), each.get("went", "")) for each in told]


def test_an_exchange_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Who, over what, what came, what went, how long; and nothing of what the message held."""
    log = ExchangeLog()
    report = Report(UID, 1, health=WELL, csr=SECRET.encode(), disconnect=True, wants_uid=True)
    with caplog.at_level(logging.INFO):
        log.heard("ws", None, report, a_turn(greeting=True, full_state=True), time.perf_counter())
    [record] = caplog.records
    assert lines(caplog) == [
        ("INFO", "health certificate_request uid_request goodbye", "greeting report_full_state")
    ]
    assert (vars(record)["agent"], vars(record)["transport"]) == (str(UID), "ws")
    assert 0 <= vars(record)["ms"] < 60_000
    assert SECRET not in str(vars(record))


def test_who_is_not_known_is_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal of a stranger names no agent."""
    with caplog.at_level(logging.INFO):
        ExchangeLog().refused("ws", None, MalformedError("no message"))
    assert [vars(record)["agent"] for record in caplog.records] == [None]


@pytest.mark.parametrize(
    "report",
    [Report(UID, 2), Report(UID, 2, health=WELL)],
    ids=["heartbeat", "health as before"],
)
def test_what_changes_nothing_is_counted(report: Report, caplog: pytest.LogCaptureFixture) -> None:
    """At info there is no line for it, at debug there is."""
    log = ExchangeLog()
    with caplog.at_level(logging.INFO):
        log.heard("ws", BEFORE, report, a_turn(), time.perf_counter())
    assert lines(caplog) == []
    with caplog.at_level(logging.DEBUG):
        log.heard("ws", BEFORE, report, a_turn(), time.perf_counter())
    assert [(level, said) for level, _, said in lines(caplog)] == [("DEBUG", "nothing")]
    assert (log.counts.heard, log.counts.quiet) == (2, 2)


@pytest.mark.parametrize(
    ("report", "turn"),
    [
        (Report(UID, 2), a_turn(full_state=True)),
        (Report(UID, 2, health=WELL), a_turn(replace(VIEW, health=Health(healthy=False)))),
        (Report(UID, 2, csr=b"x"), a_turn()),
        (Report(UID, 2, disconnect=True), a_turn()),
        (Report(UID, 2, components=Components(b"h", "{}")), a_turn()),
    ],
    ids=["a gap", "another health", "a request", "goodbye", "a list of components"],
)
def test_what_changes_something_is_a_line(
    report: Report, turn: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is asked, told or different is seen."""
    with caplog.at_level(logging.INFO):
        ExchangeLog().heard("http", BEFORE, report, turn, time.perf_counter())
    assert [level for level, _, _ in lines(caplog)] == ["INFO"]


def test_lines_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A storm of exchanges is not a storm of lines; what is left out is counted and told."""
    log, storm = ExchangeLog(), int(LINES.burst) * 2
    with caplog.at_level(logging.INFO):
        for _ in range(storm):
            log.refused("ws", None, MalformedError("no message"))
            log.sent("ws", None, Reply(UID, greeting=True))
        log.stop()
        log.stop()
    told = [record for record in caplog.records if record.getMessage() == "exchanges since the start"]
    assert len(caplog.records) < 1.5 * LINES.burst
    assert [vars(record)["refused"] for record in told] == [storm]
    assert vars(told[0])["not_logged"] == log.counts.not_logged > storm / 2


def test_counts_are_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once a minute, if anything came."""
    monkeypatch.setattr(module, "TELL_SECONDS", 0.0)

    async def story() -> None:
        log = ExchangeLog()
        log.start(asyncio.get_running_loop())
        log.heard("ws", BEFORE, Report(UID, 2), a_turn(), time.perf_counter())
        async with asyncio.timeout(10):
            while not caplog.records:  # noqa: ASYNC110 - the log tells nobody
                await asyncio.sleep(0.001)
        log.stop()

    with caplog.at_level(logging.INFO):
        asyncio.run(story())
    assert [vars(record)["heard"] for record in caplog.records] == [1]


def test_every_part_has_its_word() -> None:
    """A part that is added to messages later cannot be forgotten here."""
    silent = {"uid", "sequence", "capabilities", "disconnect", "wants_uid"}
    assert {each.name for each in fields(Report)} - silent == {name for name, _ in module._CAME}
    beside = {"uid", "offer_attempt", "custom_capabilities"}
    assert {each.name for each in fields(Reply)} - beside == {name for name, _ in module._WENT}
    assert (came(Report(UID, 1)), went(Reply(UID))) == ("nothing", "nothing")


def test_the_end_of_a_connection_is_for_who_watches_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Each cause has a line of its own; nobody watching costs nothing."""
    watches = Watches(lambda: datetime(2026, 3, 4, tzinfo=UTC))
    log, silent = ExchangeLog(watches), ExchangeLog()
    with caplog.at_level(logging.DEBUG):
        for one in (log, silent):
            one.ended("ws", AgentId(UID), None, "over")
        watch = watches.open(AgentId(UID), lambda: None)
        log.ended("ws", AgentId(UID), None, "over")
    assert [event["said"] for event in watch.take()] == [{"close": "over"}]
    assert lines(caplog) == []
