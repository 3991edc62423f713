"""The story of an audit: the journal is read back and held against its chain and the head kept outside."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from storage import journal, journal_head
from storage.database import Database
from storage.journal import Entry, Head
from storage.objects import ObjectStore


def page(database: Database, *, after: int, limit: int) -> Sequence[Entry]:
    """Return at most `limit` entries numbered above `after`."""
    with database.read() as connection:
        return journal.entries(connection, after, limit)


def newest(database: Database, *, before: int, limit: int) -> Sequence[Entry]:
    """Return at most `limit` entries numbered below `before`, newest first; 0 begins with the last one."""
    with database.read() as connection:
        end = journal.head(connection).number
        last = min(before - 1, end) if before else end
        first = max(last - limit, 0)
        return journal.entries(connection, first, last - first)[::-1]


def last_about(connection: Connection, subject: str, kind: str) -> Entry | None:
    """Return the newest entry of this kind about a subject, None without one; it looks at all of them."""
    named = (journal.journal.c.subject == subject, journal.journal.c.kind == kind)
    found = connection.scalar(select(func.max(journal.journal.c.number)).where(*named))
    return None if found is None else journal.entries(connection, found - 1, 1)[0]


def verify(database: Database, store: ObjectStore, *, actor: str, now: datetime) -> Head:
    """Check the whole journal, record that it was checked, keep its new head outside, and return it.

    Returns:
        The head up to which the journal was found whole; the entry of this check comes after it.

    Raises:
        JournalBrokenError: it was edited, has a gap, or ends before the kept head. Nothing is written then:
            neither an entry on top of a broken journal, nor a head over the evidence.
    """
    kept = journal_head.kept(store)
    with database.read() as connection:
        whole = journal.verify(connection, kept)
    with database.write() as connection:
        journal.append(
            connection,
            kind="journal.checked",
            actor=actor,
            subject="journal",
            detail={
                "entries": whole.number,
                "hash": whole.hash,
                "kept_before": None if kept is None else kept.number,
            },
            at=now,
        )
    journal_head.advance(database, store)
    return whole
