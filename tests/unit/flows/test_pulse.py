"""flows/pulse.py: whether the database answers."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from distribution.flows.pulse import AWAY_SECONDS, Pulse
from storage.errors import UnavailableError


class Moody:
    """A database that reads and writes, or says why not; it may also take its time."""

    def __init__(self) -> None:
        self.reads: str | None = None
        self.writes: str | None = None
        self.hangs = threading.Event()
        self.hangs.set()

    @contextmanager
    def read(self) -> Iterator[None]:
        if self.reads:
            raise UnavailableError(self.reads)
        yield

    @contextmanager
    def write_relaxed(self) -> Iterator[None]:
        self.hangs.wait(10)
        if self.writes:
            raise UnavailableError(self.writes)
        yield


class Hand:
    """A stopwatch set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def a_pulse(database: Moody, stopwatch: Hand | None = None) -> Pulse:
    return Pulse(database, stopwatch or Hand())  # type: ignore[arg-type] # what it uses of a database


def test_a_database_that_answers() -> None:
    """Before the first try and after each that works, everything may go on."""
    pulse = a_pulse(Moody())
    for _ in range(2):
        pulse.require_reads()
        pulse.require_writes()
        pulse.beat()


def test_a_database_that_cannot_be_written() -> None:
    """What reads goes on, what writes is told why not; it heals by itself."""
    database = Moody()
    pulse = a_pulse(database)
    database.writes = "locked"
    pulse.beat()
    pulse.require_reads()
    with pytest.raises(UnavailableError, match="database is away: locked"):
        pulse.require_writes()
    database.writes = None
    pulse.beat()
    pulse.require_writes()


def test_a_database_that_is_gone() -> None:
    """Neither goes on."""
    database = Moody()
    pulse = a_pulse(database)
    database.reads = "no route"
    pulse.beat()
    for require in (pulse.require_reads, pulse.require_writes):
        with pytest.raises(UnavailableError, match="database is away: no route"):
            require()


def test_a_database_that_hangs() -> None:
    """A try that does not come to its end counts as failed after a while, and not before."""
    database, stopwatch = Moody(), Hand()
    pulse = a_pulse(database, stopwatch)
    database.hangs.clear()
    beating = threading.Thread(target=pulse.beat)
    beating.start()
    try:
        stopwatch.now = AWAY_SECONDS
        assert pulse.why_away() is None
        stopwatch.now = AWAY_SECONDS + 0.1
        assert pulse.why_away() == "database has not answered for more than 5 s"
    finally:
        database.hangs.set()
        beating.join()
    assert pulse.why_away() is None


def test_it_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line when it went, one when it is there again."""
    database = Moody()
    pulse = a_pulse(database)
    with caplog.at_level(logging.INFO):
        for mood in (None, "locked", "locked", "locked", None, None):
            database.writes = mood
            pulse.beat()
    assert [record.getMessage() for record in caplog.records] == [
        "database is away; what is connected goes on",
        "database is there again",
    ]
