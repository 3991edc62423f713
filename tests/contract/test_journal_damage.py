"""Every kind of damage to a journal is found on every database, and named with both numbers or hashes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update

from storage.database import Database, migrate
from storage.errors import JournalBrokenError
from storage.journal import Entry, entries, journal, require_contains
from tests.contract.database_places import PLACES, fresh
from tests.contract.journal_hands import AT, checked, hash_by_hand, write


@pytest.fixture(params=PLACES)
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A journal of nine entries whose database no longer refuses changes."""
    with fresh(request.param, tmp_path) as url:
        database = Database.open(url)
        migrate(database)
        write(database, 9)
        with database.write() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("DROP TRIGGER journal_refuses_update")
                connection.exec_driver_sql("DROP TRIGGER journal_refuses_delete")
            else:
                connection.exec_driver_sql("DROP TRIGGER journal_refuses ON journal")
        yield database
        database.close()


def rehash(database: Database, number: int, **values: object) -> None:
    """Edit an entry and give it the hash its new content has, as a careful forger would."""
    with database.write() as connection:
        connection.execute(update(journal).where(journal.c.number == number).values(**values))
        (entry,) = entries(connection, after=number - 1, limit=1)
        connection.execute(update(journal).where(journal.c.number == number).values(hash=hash_by_hand(entry)))


EDITS = {
    "at": "2026-01-31T12:00:01Z",
    "kind": "agent.enrolled",
    "actor": "operator:eve",
    "subject": "agent:2",
    "detail": '{"serial": "0a","times":[1,null]}',
}


@pytest.mark.parametrize(("column", "value"), EDITS.items())
def test_an_edit_is_found(damaged: Database, column: str, value: str) -> None:
    """A changed field, even a space in the detail, is named with its entry's two hashes."""
    with damaged.write() as connection:
        connection.execute(update(journal).where(journal.c.number == 5).values({column: value}))
        (entry,) = entries(connection, after=4, limit=1)
    with pytest.raises(JournalBrokenError, match=f"entry 5 was edited: .*, its hash says {entry.hash}"):
        checked(damaged)


def test_an_edit_with_its_hash_made_right_is_found(damaged: Database) -> None:
    """An edited entry that was hashed again no longer is the one its successor names."""
    rehash(damaged, 5, actor="operator:eve")
    with pytest.raises(JournalBrokenError, match="entry 6 does not follow entry 5"):
        checked(damaged)


def test_an_edit_of_the_last_entry_is_found_by_the_kept_head(damaged: Database) -> None:
    """Where no successor tells, the head kept outside does, and both hashes are named."""
    kept = checked(damaged)
    rehash(damaged, 9, actor="operator:eve")
    with pytest.raises(JournalBrokenError, match=f"entry 9 is [0-9a-f]+, kept outside as {kept.hash}"):
        checked(damaged, kept)


def test_a_missing_entry_is_found(damaged: Database) -> None:
    """A gap is named by the numbers on both its sides."""
    with damaged.write() as connection:
        connection.execute(delete(journal).where(journal.c.number == 4))
    with pytest.raises(JournalBrokenError, match="entry 3 is followed by entry 5, expected 4"):
        checked(damaged)


def test_a_missing_beginning_is_found(damaged: Database) -> None:
    """A journal that lost its first entries does not begin at a later one."""
    with damaged.write() as connection:
        connection.execute(delete(journal).where(journal.c.number < 3))
    with pytest.raises(JournalBrokenError, match="entry 0 is followed by entry 3, expected 1"):
        checked(damaged)


def test_a_gap_closed_by_renumbering_is_found(damaged: Database) -> None:
    """Entries moved down into a gap no longer follow the one before."""
    with damaged.write() as connection:
        connection.execute(delete(journal).where(journal.c.number == 4))
        for number in range(5, 10):
            connection.execute(update(journal).where(journal.c.number == number).values(number=number - 1))
    with pytest.raises(JournalBrokenError, match="entry 4 does not follow entry 3"):
        checked(damaged)


def test_two_entries_that_changed_places_are_found(damaged: Database) -> None:
    """A reordering is named by the entry that stands wrong and the one it really follows."""
    with damaged.write() as connection:
        for before, after in ((5, 100), (6, 5), (100, 6)):
            connection.execute(update(journal).where(journal.c.number == before).values(number=after))
    with pytest.raises(
        JournalBrokenError, match=r"entry 5 does not follow entry 4: it names [0-9a-f]+ before it \(entry 6\)"
    ):
        checked(damaged)


def test_an_inserted_entry_is_found(damaged: Database) -> None:
    """A forged entry pushed in between cannot be followed by the old ones."""
    with damaged.write() as connection:
        for number in range(9, 4, -1):
            connection.execute(update(journal).where(journal.c.number == number).values(number=number + 1))
        (four,) = entries(connection, after=3, limit=1)
        forged = Entry(5, AT, "agent.reset", "operator:eve", "agent:1", {}, four.hash, "")
        texts = ("2026-01-31T12:00:00Z", forged.kind, forged.actor, forged.subject, "{}")
        connection.execute(insert(journal).values((5, *texts, four.hash, hash_by_hand(forged))))
    with pytest.raises(JournalBrokenError, match="entry 6 does not follow entry 5"):
        checked(damaged)


def test_truncation_before_the_kept_head_is_found(damaged: Database) -> None:
    """A journal cut short is whole by itself; the head kept outside says where it once ended."""
    kept = checked(damaged)
    with damaged.write() as connection:
        connection.execute(delete(journal).where(journal.c.number > 6))
    assert checked(damaged).number == 6
    with pytest.raises(JournalBrokenError, match="ends at entry 6, before entry 9 that was kept outside"):
        checked(damaged, kept)
    with (
        damaged.read() as connection,
        pytest.raises(JournalBrokenError, match="ends at entry 6, and entry 9"),
    ):
        require_contains(connection, kept)


def test_an_emptied_journal_is_found(damaged: Database) -> None:
    """A journal of which nothing is left ends at 0."""
    kept = checked(damaged)
    with damaged.write() as connection:
        connection.execute(delete(journal))
    with pytest.raises(JournalBrokenError, match="ends at entry 0, before entry 9"):
        checked(damaged, kept)


def test_a_journal_that_grew_again_after_truncation_is_found(damaged: Database) -> None:
    """New entries in place of the lost ones have other hashes than the kept head."""
    kept = checked(damaged)
    with damaged.write() as connection:
        connection.execute(delete(journal).where(journal.c.number > 6))
    write(damaged, 5, actor="operator:eve")
    with pytest.raises(JournalBrokenError, match=f"entry 9 is [0-9a-f]+, kept outside as {kept.hash}"):
        checked(damaged, kept)
    with damaged.read() as connection, pytest.raises(JournalBrokenError, match="the journal was rewritten"):
        require_contains(connection, kept)
