"""transport/closings.py: who is hung up on for its own fault is counted, and told once, within bounds."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection

from distribution.domain.buckets import Rate
from distribution.transport.closings import ADDRESSES_MAX, PER_ADDRESS, TOGETHER, Closed, Closings
from distribution.transport.desk import ENROLLING_MAX_BYTES
from distribution.transport.frames import Broken
from distribution.transport.load import Enrollments
from distribution.transport.websocket import UNREADABLE_MAX
from tests.fakes.certificates import agent
from tests.fakes.listening import Listening, listening
from tests.fakes.wire_client import close_of, http_client, post, said, tell, websocket

LINE = "connection closed for its peer's fault"
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "distribution.transport.closings")
    return caplog


def told(lines: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """Return the fields of each line, those of logging left out."""
    usual = logging.makeLogRecord({}).__dict__
    return [
        {name: value for name, value in record.__dict__.items() if name not in {*usual, "message", "asctime"}}
        for record in lines.records
        if record.getMessage() == LINE
    ]


def note(closings: Closings, *, origin: str = HERE, now: float = 0.0) -> None:
    closings.note(Closed.TOO_SLOW, "took 31 s, at most 30 s", origin=origin, agent=None, now=now)


def test_an_address_has_a_few_lines_and_then_one_in_a_while(lines: pytest.LogCaptureFixture) -> None:
    """What was left out is told with the next one; all are counted; another address has its own lines."""
    closings = Closings()
    for _ in range(100):
        note(closings)
    assert len(told(lines)) == PER_ADDRESS.burst
    note(closings, origin=THERE)
    assert told(lines)[-1]["remote"] == THERE
    note(closings, now=1 / PER_ADDRESS.per_second)
    assert told(lines)[-1] == {
        "agent": None,
        "transport": "ws",
        "remote": HERE,
        "why": "too_slow",
        "reason": "took 31 s, at most 30 s",
        "left_out": 100 - PER_ADDRESS.burst,
    }
    assert closings.counts[Closed.TOO_SLOW] == 102


def test_many_addresses_have_a_bound_together(lines: pytest.LogCaptureFixture) -> None:
    """Neither the log nor what is remembered grows with them."""
    closings = Closings()
    for number in range(ADDRESSES_MAX + 10):
        note(closings, origin=str(number))
    assert len(told(lines)) == TOGETHER.burst
    assert len(closings._addresses) == ADDRESSES_MAX


def test_both_sizes_are_told(lines: pytest.LogCaptureFixture) -> None:
    """Beside the code and the agent."""
    broken = Broken(CloseCode.MESSAGE_TOO_BIG, "frame with 9 bytes exceeds limit of 5 bytes", 9, 5)
    Closings().broken(broken, origin=HERE, agent=agent(1), now=0.0)
    assert told(lines) == [
        {
            "agent": str(agent(1)),
            "transport": "ws",
            "remote": HERE,
            "why": "too_large",
            "reason": "frame with 9 bytes exceeds limit of 5 bytes",
            "code": 1009,
            "bytes": 9,
            "most_bytes": 5,
        }
    ]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Listening]:
    """A listener of a test's own: its counts and bounds are."""
    few = Enrollments(together=Rate(0.001, 10), per_address=Rate(0.001, 1))
    with listening(tmp_path, enrollments=few) as here:
        yield here


def frame(first: int, length: int) -> bytes:
    """Return the head of a masked frame of 64 bits' length."""
    return bytes((first, 0x80 | 127)) + length.to_bytes(8, "big") + bytes(4)


def break_in(connection: ClientConnection, sent: bytes) -> None:
    """Send bytes past the library, whose other thread may see the server's end while they are sent."""
    with suppress(OSError):
        connection.socket.sendall(sent)


@pytest.mark.parametrize(
    ("sent", "code", "why"),
    [
        (frame(0x82, 1 << 40), 1009, Closed.TOO_LARGE),
        (frame(0x81, 0), 1003, Closed.TEXT),
        (frame(0x83, 0), 1002, Closed.MALFORMED),
    ],
    ids=["1009", "1003", "1002"],
)
def test_a_connection_that_breaks_the_protocol_is_told_once(
    at: Listening, lines: pytest.LogCaptureFixture, sent: bytes, code: int, why: Closed
) -> None:
    """With its agent, code, and both sizes of what was too large."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        tell(connection, said(identity.agent))
        break_in(connection, sent)
        found, words = close_of(connection)
    assert found == code
    [line] = told(lines)
    assert (line["agent"], line["code"], line["why"]) == (str(identity.agent), code, why.value)
    assert (line["reason"], line["remote"]) == (words, "127.0.0.1")
    assert line.get("bytes") == (1 << 40 if why is Closed.TOO_LARGE else None)
    assert [each for each, count in at.load.closings.counts.items() if count] == [why]


def test_a_stranger_has_a_smaller_limit(at: Listening, lines: pytest.LogCaptureFixture) -> None:
    """Its line names no agent: nobody knows whether it is the one that it says."""
    with websocket(at, token=at.work.token("t")) as connection:
        break_in(connection, frame(0x82, ENROLLING_MAX_BYTES + 1))
        assert close_of(connection)[0] == CloseCode.MESSAGE_TOO_BIG
    [line] = told(lines)
    assert (line["agent"], line["most_bytes"]) == (None, ENROLLING_MAX_BYTES)


def test_rubbish_and_slowness_are_told(
    at: Listening, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, with its bound."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        for _ in range(UNREADABLE_MAX):
            connection.send(b"")
        close_of(connection)
    monkeypatch.setattr("distribution.transport.websocket.ENROLLING_SECONDS", -1.0)
    with websocket(at, token=at.work.token("t")) as connection:
        tell(connection, said(at.new_agent()))
        at.check_now()
        close_of(connection)
    assert [(line["why"], line["reason"]) for line in told(lines)] == [
        ("unreadable", f"{UNREADABLE_MAX} messages could not be read"),
        ("too_slow", "enrolling took longer than -1 s"),
    ]


def test_who_does_not_come_in_is_told(at: Listening, lines: pytest.LogCaptureFixture) -> None:
    """Over both transports, with what was asked too often and the rate."""
    token = at.work.token("t", uses=10)
    with http_client(at) as pool:
        for _ in range(2):
            post(pool, said(at.new_agent()), token=token)
    with pytest.raises(InvalidStatus), websocket(at, token=token):
        pass
    said_of = "too many enrollments from 127.0.0.1: 0.001 a second are taken"
    assert [(line["why"], line["transport"], line["reason"]) for line in told(lines)] == [
        ("turned_away", "http", said_of),
        ("turned_away", "ws", said_of),
    ]


def test_a_connection_that_its_peer_ends_is_nobodys_fault(
    at: Listening, lines: pytest.LogCaptureFixture
) -> None:
    """Nor is one that is cut by an operator."""
    identity, other = at.enrolled(), at.enrolled()
    with websocket(at, identity) as connection:
        tell(connection, said(identity.agent))
    with websocket(at, other) as connection:
        tell(connection, said(other.agent))
        at.hub.cut([other.issued.serial], "agent was revoked")
        close_of(connection)
    assert told(lines) == []
    assert sum(at.load.closings.counts.values()) == 0
