"""storage/journal_head.py: the kept head moves forward only, and only along one journal."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete

from storage.database import Database, metadata
from storage.errors import JournalBrokenError, NotFoundError
from storage.journal import NO_HASH, Head, append, journal, verify
from storage.journal_head import KEY, advance, keep, kept
from storage.objects import ObjectInfo
from tests.fakes.memory_store import MemoryStore


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path / 'q.db'}")
    with opened.write() as connection:
        metadata.create_all(connection, tables=[journal])
    yield opened
    opened.close()


def write(database: Database, count: int, actor: str = "server") -> None:
    with database.write() as connection:
        for _ in range(count):
            append(
                connection,
                kind="a.b",
                actor=actor,
                subject="x",
                detail={},
                at=datetime(2026, 1, 1, tzinfo=UTC),
            )


def a_head(number: int, digit: str = "a") -> Head:
    return Head(number, digit * 64)


def test_nothing_is_kept_at_first() -> None:
    """A store without the object has no kept head."""
    assert kept(MemoryStore()) is None


def test_what_is_kept_is_read_again() -> None:
    """The first head is created, later ones replace it."""
    store = MemoryStore()
    keep(store, a_head(3))
    assert kept(store) == a_head(3)
    keep(store, a_head(7, "b"))
    assert kept(store) == a_head(7, "b")
    assert json.loads(store.bodies[KEY]) == {"number": 7, "hash": "b" * 64}


def test_an_empty_journal_keeps_nothing() -> None:
    """There is no head worth keeping before the first entry."""
    store = MemoryStore()
    keep(store, Head(0, NO_HASH))
    assert store.bodies == {}


def test_an_earlier_head_changes_nothing() -> None:
    """Whoever comes late with an older head leaves the newer one."""
    store = MemoryStore()
    keep(store, a_head(7))
    keep(store, a_head(3, "b"))
    assert kept(store) == a_head(7)


def test_the_same_head_again_changes_nothing() -> None:
    """Keeping twice is no error."""
    store = MemoryStore()
    keep(store, a_head(7))
    keep(store, a_head(7))
    assert kept(store) == a_head(7)


def test_another_head_of_the_same_number_is_refused() -> None:
    """Two hashes for one number mean two journals; both are named and the kept one stays."""
    store = MemoryStore()
    keep(store, a_head(7))
    with pytest.raises(JournalBrokenError, match=f"entry 7 is {'b' * 64}, kept outside as {'a' * 64}"):
        keep(store, a_head(7, "b"))
    assert kept(store) == a_head(7)


def test_of_many_keepers_the_latest_head_stays() -> None:
    """Threads that keep at once lose no step forward."""
    store = MemoryStore()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: keep(store, a_head(number)), range(1, 200)))
    assert kept(store) == a_head(199)


class OvertakenStore(MemoryStore):
    """A store in which other writers come between reading and writing, once each."""

    def __init__(self, *others: bytes | None) -> None:
        super().__init__()
        self.others = list(others)

    def read(self, key: str, max_bytes: int) -> tuple[bytes, ObjectInfo]:
        """Read, then let the next of the others write or delete."""
        try:
            return super().read(key, max_bytes)
        finally:
            if self.others:
                other = self.others.pop(0)
                self.bodies.pop(key, None)
                if other is not None:
                    self.bodies[key] = other


def body(head: Head) -> bytes:
    return json.dumps({"number": head.number, "hash": head.hash}).encode()


def test_a_keeper_who_is_overtaken_looks_again() -> None:
    """Created, replaced and deleted in between: in the end the later head is kept."""
    store = OvertakenStore(body(a_head(2)), body(a_head(4)), None)
    keep(store, a_head(5, "c"))
    assert (store.others, kept(store)) == ([], a_head(5, "c"))


def test_a_keeper_who_is_overtaken_by_a_later_head_leaves_it() -> None:
    """Having looked again, he finds that there is nothing to do."""
    store = OvertakenStore(body(a_head(9)))
    keep(store, a_head(5))
    assert kept(store) == a_head(9)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"number": 1}',
        b'{"number": "1", "hash": "%s"}' % (b"a" * 64),
        b'{"number": 0, "hash": "%s"}' % (b"a" * 64),
        b'{"number": -1, "hash": "%s"}' % (b"a" * 64),
        b'{"number": true, "hash": "%s"}' % (b"a" * 64),
        b'{"number": 9223372036854775808, "hash": "%s"}' % (b"a" * 64),
        b'{"number": 1, "hash": "%s"}' % (b"A" * 64),
        b'{"number": 1, "hash": "%s"}' % (b"a" * 63),
        b"x" * 5_000,
    ],
)
def test_an_object_that_is_no_head_is_refused(garbage: bytes) -> None:
    """Evidence that was altered is an error, never taken for evidence that is missing."""
    store = MemoryStore()
    store.bodies[KEY] = garbage
    with pytest.raises(JournalBrokenError, match="no kept head"):
        kept(store)
    with pytest.raises(JournalBrokenError, match="no kept head"):
        keep(store, a_head(3))
    assert store.bodies[KEY] == garbage


def test_advancing_keeps_the_journals_head(database: Database) -> None:
    """Each time it is the head that verification gives."""
    store = MemoryStore()
    assert (advance(database, store), kept(store)) == (Head(0, NO_HASH), None)
    for _ in range(3):
        write(database, 2)
        latest = advance(database, store)
        assert kept(store) == latest
        with database.read() as connection:
            assert verify(connection, kept(store)) == latest


def test_a_journal_cut_short_does_not_advance(database: Database) -> None:
    """The kept head stays as evidence, also after the journal has grown past it again."""
    store = MemoryStore()
    write(database, 5)
    evidence = advance(database, store)
    with database.write() as connection:
        connection.execute(delete(journal).where(journal.c.number > 3))
    with pytest.raises(JournalBrokenError, match="ends at entry 3, and entry 5 that was kept outside"):
        advance(database, store)
    write(database, 9, actor="operator:eve")
    with pytest.raises(JournalBrokenError, match=f"entry 5 is [0-9a-f]+, kept outside as {evidence.hash}"):
        advance(database, store)
    assert kept(store) == evidence


def test_an_emptied_journal_does_not_advance(database: Database) -> None:
    """A database put back to its beginning is found out."""
    store = MemoryStore()
    write(database, 2)
    advance(database, store)
    with database.write() as connection:
        connection.execute(delete(journal))
    with pytest.raises(JournalBrokenError, match="ends at entry 0, and entry 2"):
        advance(database, store)


def test_many_servers_advance_at_once(database: Database) -> None:
    """Appending and keeping from several threads ends with the last head kept."""
    store = MemoryStore()

    def work(number: int) -> None:
        for _ in range(5):
            write(database, 1, actor=f"agent:{number}")
            advance(database, store)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    with database.read() as connection:
        assert verify(connection, kept(store)).number == 30
    found = kept(store)
    assert found is not None
    assert found.number == 30


def test_the_store_that_forgets_the_object_starts_again() -> None:
    """A deleted head can only be seen as none kept: keeping it elsewhere too is the operator's choice."""
    store = MemoryStore()
    keep(store, a_head(3))
    store.delete(KEY)
    assert kept(store) is None
    with pytest.raises(NotFoundError):
        store.head(KEY)
    keep(store, a_head(2))
    assert kept(store) == a_head(2)
