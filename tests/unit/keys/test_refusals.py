"""keys/refusals.py."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from keys.refusals import NOTES_MAX, Refusals
from storage.database import Database
from storage.errors import UnavailableError
from storage.journal import Entry
from tests.fakes.certificates import NOW
from tests.fakes.databases import journalled, opened

HOUR = timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def _note(refusals: Refusals, key: str = "t1", now: datetime = NOW) -> None:
    refusals.note("token.refused", key=key, actor="agent:x", subject=f"token:{key}", why="used up", now=now)


def _details(entries: list[Entry]) -> list[object]:
    return [dict(entry.detail) for entry in entries]


def test_a_refusal_is_journalled(database: Database) -> None:
    """Who, what and why."""
    _note(Refusals(database))
    [entry] = journalled(database)
    assert (entry.kind, entry.actor, entry.subject) == ("token.refused", "agent:x", "token:t1")
    assert entry.detail == {"why": "used up"}


def test_the_same_refusal_is_noted_once_an_hour(database: Database) -> None:
    """The next hour's note says how many were left out; another key is another refusal."""
    refusals = Refusals(database)
    for _ in range(4):
        _note(refusals)
    _note(refusals, "t2")
    _note(refusals, now=NOW + HOUR)
    assert _details(journalled(database)) == [
        {"why": "used up"},
        {"why": "used up"},
        {"why": "used up", "left_out": 3},
    ]


def test_a_clock_that_went_back_begins_a_new_hour(database: Database) -> None:
    """Nothing is silenced until the old hour comes round again."""
    refusals = Refusals(database)
    _note(refusals)
    _note(refusals, now=NOW - timedelta(seconds=1))
    assert len(journalled(database)) == 2


def test_all_notes_together_are_bounded(database: Database) -> None:
    """A flood of different refusals fills neither the journal nor the memory, and is counted."""
    refusals = Refusals(database)
    for number in range(3 * NOTES_MAX + 5):
        _note(refusals, f"k{number}")
    _note(refusals, f"k{NOTES_MAX}")
    assert len(journalled(database)) == NOTES_MAX
    _note(refusals, f"k{NOTES_MAX}", now=NOW + HOUR)
    assert journalled(database)[-1].detail == {
        "why": "used up",
        "left_out": 2,
        "others_left_out": NOTES_MAX + 5,
    }


def test_a_note_that_cannot_be_written_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever was refused sees his refusal, not our trouble."""

    class Gone:
        @contextmanager
        def write(self) -> Iterator[Connection]:
            raise UnavailableError("gone")
            yield

    with caplog.at_level(logging.ERROR):
        _note(Refusals(Gone()))  # type: ignore[arg-type]
    assert "could not be journalled" in caplog.text
