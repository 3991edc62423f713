"""What the journal promises on every database: numbers, chain, and every kind of damage found and named."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import delete, insert, update

from storage.database import Database, migrate
from storage.errors import JournalBrokenError, StorageError
from storage.journal import NO_HASH, Entry, Head, append, entries, head, journal, require_contains, verify
from tests.contract.database_places import PLACES, fresh

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


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


@pytest.fixture
def damaged(database: Database) -> Database:
    """A journal of nine entries whose database no longer refuses changes."""
    write(database, 9)
    with database.write() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER journal_refuses_update")
            connection.exec_driver_sql("DROP TRIGGER journal_refuses_delete")
        else:
            connection.exec_driver_sql("DROP TRIGGER journal_refuses ON journal")
    return database


def write(database: Database, count: int, actor: str = "server") -> list[Entry]:
    made = []
    for _ in range(count):
        with database.write() as connection:
            detail = {"serial": "0a", "times": [1, None]}
            made.append(
                append(connection, kind="agent.revoked", actor=actor, subject="agent:1", detail=detail, at=AT)
            )
    return made


def append_and_fail(database: Database) -> None:
    with database.write() as connection:
        append(connection, kind="a.b", actor="server", subject="x", detail={}, at=AT)
        raise ZeroDivisionError


def checked(database: Database, kept: Head | None = None) -> Head:
    with database.read() as connection:
        return verify(connection, kept)


def hash_by_hand(entry: Entry) -> str:
    """The encoding as the module's docstring has it, written a second time."""
    texts = [
        entry.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        entry.kind,
        entry.actor,
        entry.subject,
        json.dumps(entry.detail, sort_keys=True, separators=(",", ":")),
    ]
    parts = [b"quartermaster journal 1", bytes.fromhex(entry.previous_hash), entry.number.to_bytes(8, "big")]
    parts += [text.encode() for text in texts]
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hexdigest()


def rehash(database: Database, number: int, **values: object) -> None:
    """Edit an entry and give it the hash its new content has, as a careful forger would."""
    with database.write() as connection:
        connection.execute(update(journal).where(journal.c.number == number).values(**values))
        (entry,) = entries(connection, after=number - 1, limit=1)
        connection.execute(update(journal).where(journal.c.number == number).values(hash=hash_by_hand(entry)))


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
    programs = [start(url, f"agent:{number}", 30) for number in range(3)]
    acknowledged = [line for program in programs for line in program.communicate(timeout=60)[0].splitlines()]
    assert [program.returncode for program in programs] == [0, 0, 0]
    assert sorted(int(line.split()[0]) for line in acknowledged) == list(range(1, 121))
    assert checked(database).number == 120


def start(url: str, actor: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.contract.journal_writer", url, actor, str(count)]
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


@pytest.mark.rounds(4, 20, 100)
def test_a_killed_writer_loses_nothing_it_acknowledged(url: str, database: Database, rounds: int) -> None:
    """Two programs are killed while they append: the journal is whole and holds what they said it holds."""
    random = Random(rounds)
    expected: dict[int, str] = {}
    for _ in range(rounds):
        programs = [start(url, f"agent:{number}", 0) for number in range(2)]
        lines = [read_until(program, random.randrange(1, 40)) for program in programs]
        for program in programs:
            program.kill()
        for program, seen in zip(programs, lines, strict=True):
            for line in [*seen, *read_rest(program)]:
                number, text = line.split()
                expected[int(number)] = text
        kept = Head(max(expected), expected[max(expected)])
        assert checked(database, kept).number >= kept.number
    with database.read() as connection:
        found = {entry.number: entry.hash for entry in entries(connection, limit=1_000_000)}
    assert {number: found.get(number) for number in expected} == expected


def read_until(program: "subprocess.Popen[str]", count: int) -> list[str]:
    assert program.stdout is not None
    return [program.stdout.readline() for _ in range(count)]


def read_rest(program: "subprocess.Popen[str]") -> list[str]:
    assert program.stdout is not None
    with program.stdout as lines:
        rest = lines.readlines()
    program.wait(timeout=20)
    return rest


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
