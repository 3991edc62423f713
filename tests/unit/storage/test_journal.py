"""storage/journal.py: what an entry may be, and how much memory verification takes."""

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, text, update

from storage.database import Database, metadata
from storage.errors import JournalBrokenError
from storage.journal import DETAIL_MAX_BYTES, Entry, append, entries, journal, verify
from storage.journal import _hash_of as hash_of
from storage.journal import _printable as printable

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path / 'q.db'}")
    with opened.write() as connection:
        metadata.create_all(connection, tables=[journal])
    yield opened
    opened.close()


def write(database: Database, **changed: Any) -> Entry:
    given: dict[str, Any] = {
        "kind": "agent.enrolled",
        "actor": "server",
        "subject": "agent:1",
        "detail": {},
        "at": AT,
    }
    with database.write() as connection:
        return append(connection, **(given | changed))


def only(database: Database) -> Entry:
    with database.read() as connection:
        verify(connection, None)
        (entry,) = entries(connection)
    return entry


def test_the_hash_of_a_known_entry_never_changes() -> None:
    """The encoding is a format: a change of it would break every journal there is."""
    texts = [b"2026-01-31T12:00:00Z", b"agent.enrolled", b"server", b"agent:1", b'{"labels":{}}']
    assert hash_of(1, texts, "0" * 64) == "fd864f7166bb9f38f1316e7237014a4bfaf40f1fed3dd36c41708b3b1a7653df"
    assert hash_of(2, texts, "ab" * 32) == "2a6311e7b6c114ff5cf5ec9d8781d0cfdadf0b4abb1a1d7d64b272776b4b1aa9"


def test_moving_a_byte_between_fields_changes_the_hash() -> None:
    """Fields are delimited by their lengths, so no two entries share an encoding."""
    first = hash_of(1, [b"t", b"a.b", b"ann", b"x", b"{}"], "0" * 64)
    assert first != hash_of(1, [b"t", b"a.b", b"an", b"nx", b"{}"], "0" * 64)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("agent:\x00\n", "agent:\\x00\\n"),
        ("back\\slash", "back\\\\slash"),
        ("lone \ud800", "lone \\ud800"),
        ("right-to-left \u202e", "right-to-left \\u202e"),
        ("Zoë 漢", "Zoë 漢"),
        ("", ""),
    ],
)
def test_what_does_not_print_is_escaped(database: Database, given: str, stored: str) -> None:
    """A hostile name neither keeps its entry out of the journal nor shows as something else."""
    made = write(database, subject=given, actor=given)
    assert (made.subject, made.actor) == (stored, stored)
    assert only(database) == made


def test_a_long_name_is_cut_and_says_so(database: Database) -> None:
    """A subject of a megabyte is journalled by its beginning and its length."""
    made = write(database, subject="x" * 1_000_000)
    assert made.subject == "x" * 1_000 + "... (1000000 characters)"
    assert only(database) == made


@given(name=st.text(st.characters()))
def test_any_name_is_kept_as_printable_text(name: str) -> None:
    """Whatever a peer calls itself, what is stored prints and is different for different names."""
    stored = printable(name)
    assert stored.isprintable()
    if len(stored) <= 1_000:
        assert stored.encode("ascii", "backslashreplace").decode("unicode_escape") == name


def test_details_come_back_as_they_were_given(database: Database) -> None:
    """Nested values, other scripts, NUL and fractions survive; the keys' order does not matter."""
    detail = {"b": [1, 2.5, None, True, {"x": "\x00漢\ud800"}], "a": {}}
    made = write(database, detail=detail)
    assert made.detail == detail
    assert only(database).detail == detail


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": "Agent.Enrolled"}, "'Agent.Enrolled' is not two lower-case words"),
        ({"kind": "agent"}, "'agent' is not two lower-case words"),
        ({"kind": "agent.enrolled\n"}, "is not two lower-case words"),
        ({"at": datetime(2026, 1, 1)}, "has no zone"),  # noqa: DTZ001
        ({"detail": {"x": b"bytes"}}, "is no JSON"),
        ({"detail": {"x": float("nan")}}, "is no JSON"),
        ({"detail": {"x": "y" * DETAIL_MAX_BYTES}}, "has 65544 bytes, more than 65536"),
    ],
)
def test_a_malformed_entry_is_refused(database: Database, changed: dict[str, Any], reason: str) -> None:
    """A caller's mistake is an error, and nothing is written."""
    with pytest.raises(ValueError, match=reason):
        write(database, **changed)
    with database.read() as connection:
        assert entries(connection) == []


def test_times_are_cut_to_seconds(database: Database) -> None:
    """The entry returned has the time that is stored."""
    made = write(database, at=AT.replace(microsecond=999_999))
    assert (made.at, only(database).at) == (AT, AT)


@pytest.mark.parametrize(("kind", "found"), [("read", "read"), ("write_relaxed", "relaxed")])
def test_only_a_durable_transaction_can_append(database: Database, kind: str, found: str) -> None:
    """An entry that a power cut could undo is refused before it is written."""
    with (
        pytest.raises(RuntimeError, match=f"transaction is {found}, expected durable"),
        getattr(database, kind)() as connection,
    ):
        append(connection, kind="a.b", actor="x", subject="y", detail={}, at=AT)


def test_a_connection_from_elsewhere_cannot_append(database: Database) -> None:
    """A transaction that nobody of ours began is refused."""
    with (
        pytest.raises(RuntimeError, match="transaction is none of ours, expected durable"),
        database._engine.connect() as connection,
    ):
        append(connection, kind="a.b", actor="x", subject="y", detail={}, at=AT)


@pytest.mark.parametrize("column", ["at", "kind", "actor", "subject", "detail", "previous_hash", "hash"])
def test_bytes_that_are_no_text_are_found(database: Database, column: str) -> None:
    """An edit that no reader could decode is a broken journal like any other, to both readers."""
    write(database)
    with database.write() as connection:
        connection.execute(text(f"UPDATE journal SET {column} = CAST(x'ff00fe' AS TEXT)"))
    with database.read() as connection:
        with pytest.raises(JournalBrokenError, match="entry 1"):
            verify(connection, None)
        with pytest.raises(JournalBrokenError, match="entry 1 was edited"):
            entries(connection)


@pytest.mark.parametrize("changed", [{"at": "yesterday"}, {"detail": "{"}])
def test_an_entry_that_cannot_be_read_is_named(database: Database, changed: dict[str, str]) -> None:
    """Listing entries fails on what is no time or no JSON, with the entry's number."""
    write(database)
    with database.write() as connection:
        connection.execute(update(journal).values(**changed))
    with database.read() as connection, pytest.raises(JournalBrokenError, match="entry 1 was edited"):
        entries(connection)


def test_verification_takes_the_same_memory_for_any_length(database: Database) -> None:
    """Ten times as many entries take no more memory to verify."""
    peaks = []
    for count in (2_000, 20_000):
        fill(database, count)
        tracemalloc.start()
        with database.read() as connection:
            assert verify(connection, None).number == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2


def fill(database: Database, count: int) -> None:
    """Write a chain up to `count` entries in one statement, faster than one by one."""
    with database.write() as connection:
        done = connection.execute(select(func.count()).select_from(journal)).scalar_one()
        previous = connection.execute(select(journal.c.hash).where(journal.c.number == done)).scalar()
        previous = previous or "0" * 64
        rows = []
        for number in range(done + 1, count + 1):
            texts = ("2026-01-31T12:00:00Z", "a.b", "server", "x", "{}")
            current = hash_of(number, [part.encode() for part in texts], previous)
            rows.append(dict(zip(journal.c.keys(), (number, *texts, previous, current), strict=True)))
            previous = current
        connection.execute(insert(journal), rows)
