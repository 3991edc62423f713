"""An audit: the journal as a whole, against the head kept outside; a broken one is not written upon."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from distribution.flows import audit
from storage import journal, journal_head
from storage.database import Database
from storage.errors import JournalBrokenError
from tests.fakes.databases import journalled, opened
from tests.fakes.memory_store import MemoryStore

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        with database.write() as connection:
            for number in range(3):
                journal.append(
                    connection,
                    kind="channel.set",
                    actor="server",
                    subject=f"channel:{number}",
                    detail={},
                    at=NOW,
                )
        yield database


def test_a_whole_journal_is_recorded_as_checked_and_its_head_kept(database: Database) -> None:
    """The check is itself an entry, and the kept head covers it."""
    store = MemoryStore()
    whole = audit.verify(database, store, actor="operator:ann", now=NOW)
    entry = journalled(database)[-1]
    assert (whole.number, entry.number, entry.kind) == (3, 4, "journal.checked")
    assert entry.detail == {"entries": 3, "hash": whole.hash, "kept_before": None}
    assert journal_head.kept(store) == journal.Head(4, entry.hash)
    assert audit.verify(database, store, actor="operator:ann", now=NOW).number == 4


def test_a_truncated_journal_is_told_and_left_alone(database: Database) -> None:
    """What ends before the kept head is broken; neither journal nor kept head moves."""
    store = MemoryStore()
    audit.verify(database, store, actor="operator:ann", now=NOW)
    kept = journal_head.kept(store)
    with database.write() as connection:
        connection.execute(delete(journal.journal).where(journal.journal.c.number > 2))
    with pytest.raises(JournalBrokenError, match="ends at entry 2, before entry 4"):
        audit.verify(database, store, actor="operator:ann", now=NOW)
    assert (len(journalled(database)), journal_head.kept(store)) == (2, kept)


def test_an_edited_entry_is_told(database: Database) -> None:
    """A changed actor does not match its hash."""
    with database.write() as connection:
        connection.execute(update(journal.journal).where(journal.journal.c.number == 2).values(actor="bob"))
    with pytest.raises(JournalBrokenError, match="entry 2 was edited"):
        audit.verify(database, MemoryStore(), actor="operator:ann", now=NOW)


def test_the_journal_is_read_in_pages(database: Database) -> None:
    """A page starts after a number and holds at most so many."""
    assert [entry.number for entry in audit.page(database, after=1, limit=1)] == [2]


def test_the_journal_is_read_from_its_end(database: Database) -> None:
    """The newest first, below a number or from the last one on; below the first there is nothing."""

    def numbers(before: int, limit: int) -> list[int]:
        return [entry.number for entry in audit.newest(database, before=before, limit=limit)]

    assert (numbers(0, 2), numbers(0, 9), numbers(99, 1)) == ([3, 2], [3, 2, 1], [3])
    assert (numbers(3, 1), numbers(2, 5), numbers(1, 5)) == ([2], [1], [])
