"""What the journal promises on every database: numbers and a chain, whoever appends at once or is killed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from random import Random
from signal import SIGKILL

import pytest
from sqlalchemy import delete, update

from storage.database import Database, migrate
from storage.errors import StorageError
from storage.journal import NO_HASH, Head, append, entries, head, journal, require_contains
from tests.contract.database_places import PLACES, fresh
from tests.contract.database_programs import Writers
from tests.contract.journal_hands import AT, checked, hash_by_hand, write


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with fresh(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database.open(url)
    migrate(opened)
    yield opened
    opened.close()


def append_and_fail(database: Database) -> None:
    with database.write() as connection:
        append(connection, kind="a.b", actor="server", subject="x", detail={}, at=AT)
        raise ZeroDivisionError


def test_entries_are_numbered_from_one_and_chained(database: Database) -> None:
    """Each entry names the hash of the one before; the first names none."""
    made = write(database, 3)
    assert [entry.number for entry in made] == [1, 2, 3]
    assert [entry.previous_hash for entry in made] == [NO_HASH, made[0].hash, made[1].hash]


def test_the_hash_is_the_documented_one(database: Database) -> None:
    """Another program can compute the hash from the docstring alone."""
    for entry in write(database, 2, actor="operator:Zoë"):
        assert entry.hash == hash_by_hand(entry)


def test_what_is_read_is_what_was_appended(database: Database) -> None:
    """Entries come back equal, in order, from after a number and up to a limit."""
    made = write(database, 5)
    with database.read() as connection:
        assert entries(connection) == made
        assert entries(connection, after=2, limit=2) == made[2:4]
        assert head(connection) == Head(5, made[4].hash)


def test_an_empty_journal_is_whole(database: Database) -> None:
    """Before the first entry the head is number 0 and no hash."""
    assert checked(database) == Head(0, NO_HASH)


def test_a_whole_journal_verifies_with_every_head_it_had(database: Database) -> None:
    """A journal that only grew contains each of its earlier heads."""
    made = write(database, 4)
    for entry in made:
        kept = Head(entry.number, entry.hash)
        assert checked(database, kept) == Head(4, made[3].hash)
        with database.read() as connection:
            require_contains(connection, kept)
    assert checked(database, Head(0, NO_HASH)).number == 4


def test_verification_reads_in_batches(database: Database) -> None:
    """A journal longer than two batches is read whole."""
    with database.write() as connection:
        for _ in range(2_100):
            append(connection, kind="a.b", actor="server", subject="x", detail={}, at=AT)
        last = head(connection)
    assert (last.number, checked(database)) == (2_100, last)


def test_what_is_rolled_back_leaves_no_gap(database: Database) -> None:
    """The number of an entry that was not committed is given to the next one."""
    write(database, 1)
    with pytest.raises(ZeroDivisionError):
        append_and_fail(database)
    assert write(database, 1)[0].number == 2
    assert checked(database).number == 2


def test_the_database_refuses_to_change_an_entry(database: Database) -> None:
    """A statement of ours that would change or delete entries is refused by the database."""
    write(database, 2)
    for statement in (update(journal).values(actor="x"), delete(journal)):
        with pytest.raises(StorageError, match="never changed or deleted"), database.write() as connection:
            connection.execute(statement)
    assert checked(database).number == 2


def test_threads_append_to_one_chain(database: Database) -> None:
    """Eight threads on one opened database leave contiguous numbers and a whole chain."""
    with ThreadPoolExecutor(8) as pool:
        made = [
            entry
            for part in pool.map(lambda n: write(database, 12, f"agent:{n}"), range(8))
            for entry in part
        ]
    assert sorted(entry.number for entry in made) == list(range(1, 97))
    assert checked(database).number == 96


def test_processes_append_to_one_chain(url: str, database: Database) -> None:
    """Three programs that append at once leave contiguous numbers and a whole chain."""
    writers = Writers(url, 3, count=30)
    acknowledged = [told.number for told in writers.acknowledged()]
    assert writers.exit_codes == [0, 0, 0]
    assert sorted(acknowledged) == list(range(1, 121))
    assert checked(database).number == 120


@pytest.mark.rounds(10, 50, 250)
def test_a_killed_writer_loses_nothing_it_acknowledged(
    url: str, database: Database, rounds: int, progress: Callable[[int], None]
) -> None:
    """Each round kills two programs as they append: the journal is whole and holds what they said."""
    random = Random(rounds)
    expected: dict[int, str] = {}
    for done in range(rounds):
        progress(done)
        writers = Writers(url, 2, count=0)
        said = writers.acknowledged()
        seen = list(islice(said, random.randrange(1, 60)))
        writers.kill()
        expected.update((told.number, told.hash) for told in chain(seen, said))
        assert writers.exit_codes == [-SIGKILL, -SIGKILL]
        kept = Head(max(expected), expected[max(expected)])
        assert checked(database, kept).number >= kept.number
    with database.read() as connection:
        found = {entry.number: entry.hash for entry in entries(connection, limit=1_000_000)}
    assert {number: found.get(number) for number in expected} == expected
