"""What every database promises: durable turns, snapshots, constraints, times, and one way to its schema."""

import sqlite3
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import OperationalError

from storage.database import Database, UtcDateTime, migrate
from storage.errors import PreconditionError, SchemaError, StorageError, UnavailableError
from tests.contract.database_places import PLACES, fresh
from tests.contract.database_programs import migrate_together

TABLES = MetaData()
COUNTERS = Table("counters", TABLES, Column("id", Integer, primary_key=True), Column("value", Integer))
CHILDREN = Table("children", TABLES, Column("counter", ForeignKey("counters.id"), primary_key=True))
MOMENTS = Table("moments", TABLES, Column("id", Integer, primary_key=True), Column("at", UtcDateTime))


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with fresh(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database.open(url)
    with opened.write() as connection:
        TABLES.create_all(connection)
        connection.execute(insert(COUNTERS).values(id=1, value=0))
    yield opened
    opened.close()


def value(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(COUNTERS.c.value)).scalar_one())


def increment(database: Database, times: int) -> None:
    for _ in range(times):
        with database.write() as connection:
            before = connection.execute(select(COUNTERS.c.value)).scalar_one()
            connection.execute(update(COUNTERS).values(value=before + 1))


def fail_within(transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
    with transaction() as connection:
        connection.execute(update(COUNTERS).values(value=9))
        raise ZeroDivisionError


def set_value(database: Database, to: int) -> None:
    with database.write() as connection:
        connection.execute(update(COUNTERS).values(value=to))


def test_a_committed_write_is_seen_by_another_opener(url: str, database: Database) -> None:
    """What one program committed, another one reads."""
    set_value(database, 7)
    other = Database.open(url)
    assert value(other) == 7
    other.close()


@pytest.mark.parametrize("kind", ["write", "write_relaxed"])
def test_an_exception_undoes_the_whole_block(database: Database, kind: str) -> None:
    """The caller's exception goes on upward and nothing of the block stays."""
    with pytest.raises(ZeroDivisionError):
        fail_within(getattr(database, kind))
    assert value(database) == 0


def test_a_relaxed_write_is_seen_when_it_ends(database: Database) -> None:
    """A relaxed transaction commits like any other."""
    with database.write_relaxed() as connection:
        connection.execute(update(COUNTERS).values(value=3))
    assert value(database) == 3


def test_a_read_sees_the_snapshot_of_its_beginning(database: Database) -> None:
    """What is committed after a read began is not seen in it, not even by its first statement."""
    with database.read() as connection:
        set_value(database, 5)
        first = connection.execute(select(COUNTERS.c.value)).scalar_one()
        set_value(database, 6)
        second = connection.execute(select(COUNTERS.c.value)).scalar_one()
    assert (first, second, value(database)) == (0, 0, 6)


def test_a_write_in_a_read_is_refused(database: Database) -> None:
    """The database itself refuses to write in a read transaction."""
    with pytest.raises(StorageError, match=r"read-?only"), database.read() as connection:
        connection.execute(update(COUNTERS).values(value=9))
    assert value(database) == 0


def test_a_write_after_a_refused_one_works(database: Database) -> None:
    """A connection that was read-only is not so for the next one who is given it."""
    for number in range(3):
        assert value(database) == number
        set_value(database, number + 1)


def test_threads_take_turns_to_write(database: Database) -> None:
    """No increment of eight threads is lost though each reads, adds and writes."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: increment(database, 10), range(8)))
    assert value(database) == 80


def test_openers_take_turns_to_write(url: str, database: Database) -> None:
    """No increment is lost between databases that share no lock in the process."""
    others = [Database.open(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda other: increment(other, 10), others))
    for other in others:
        other.close()
    assert value(database) == 40


def test_a_reader_is_not_kept_waiting_by_a_writer(database: Database) -> None:
    """While a writer has not committed, a reader reads what was there before."""
    with database.write() as connection:
        connection.execute(update(COUNTERS).values(value=8))
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(value, database).result(timeout=20) == 0
    assert value(database) == 8


def test_a_write_inside_a_write_is_refused(database: Database) -> None:
    """One thread cannot wait for itself."""
    with (
        database.write(),
        pytest.raises(RuntimeError, match="inside another"),
        database.write_relaxed(),
    ):
        raise AssertionError
    set_value(database, 1)  # and the turn was given back


def test_a_thread_that_fails_gives_its_turn_back(database: Database) -> None:
    """A writer that raises does not keep the others from writing."""
    with ThreadPoolExecutor(1) as pool:
        failed = pool.submit(fail_within, database.write)
        assert isinstance(failed.exception(timeout=20), ZeroDivisionError)
        set_value(database, 4)
    assert value(database) == 4


def test_a_commit_that_breaks_leaves_a_doubt(url: str, database: Database) -> None:
    """Where the connection ends in the commit itself nobody knows; SQLite knows always."""

    def break_off(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with closing(Database.open(url)) as other, other.write_relaxed() as killer:
            killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

    event.listen(database._engine, "commit", break_off, once=True)
    fails = pytest.raises(StorageError, match="disk I/O" if "sqlite" in url else "nobody knows")
    with fails, database.write() as connection:
        connection.execute(update(COUNTERS).values(value=7))
    assert database.doubts == (0 if "sqlite" in url else 1)
    with pytest.raises(UnavailableError, match=r"^of the block$"), database.write():
        raise UnavailableError("of the block")
    assert database.doubts == (0 if "sqlite" in url else 1)


def test_a_row_that_is_taken_is_a_lost_condition(database: Database) -> None:
    """A second row of the same key is refused as a condition the caller lost."""
    with pytest.raises(PreconditionError, match="conflicts"), database.write() as connection:
        connection.execute(insert(COUNTERS).values(id=1, value=2))


def test_a_row_that_points_at_nothing_is_refused(database: Database) -> None:
    """Foreign keys are enforced, in relaxed transactions too."""
    for kind in (database.write, database.write_relaxed):
        with pytest.raises(PreconditionError, match="conflicts"), kind() as connection:
            connection.execute(insert(CHILDREN).values(counter=99))


def test_a_refused_row_is_not_shown(database: Database) -> None:
    """PostgreSQL quotes it in a line of its own; neither our words nor what stands behind them has it."""
    quoted = 990_000 + 99
    with pytest.raises(PreconditionError) as caught, database.write() as connection:
        connection.execute(insert(CHILDREN).values(counter=quoted))
    assert str(quoted) not in "".join(traceback.format_exception(caught.value))


def test_a_missing_table_is_a_matter_of_schema(url: str) -> None:
    """A database that was not migrated says so, and does not ask to be tried again later."""
    empty = Database.open(url)
    with pytest.raises(SchemaError, match="counters"):
        value(empty)
    empty.close()


def test_times_come_back_aware_in_utc_and_whole_seconds(database: Database) -> None:
    """A time with any zone is stored as the same moment in UTC, cut to the second."""
    moment = datetime(2026, 3, 1, 1, 30, 59, 999_999, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as connection:
        connection.execute(insert(MOMENTS), [{"id": 1, "at": moment}, {"id": 2, "at": None}])
    with database.read() as connection:
        found = connection.execute(select(MOMENTS.c.at).order_by(MOMENTS.c.id)).scalars().all()
        earlier = connection.execute(
            select(MOMENTS.c.id).where(MOMENTS.c.at < moment + timedelta(hours=1))
        ).all()
    assert found == [datetime(2026, 2, 28, 23, 30, 59, tzinfo=UTC), None]
    assert [row.id for row in earlier] == [1]


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    """A naive time is an error of the caller, named."""
    with pytest.raises(ValueError, match="2026-03-01T00:00:00 has no zone"), database.write() as connection:
        connection.execute(insert(MOMENTS).values(id=1, at=datetime(2026, 3, 1)))  # noqa: DTZ001


def test_migrating_twice_changes_nothing(url: str) -> None:
    """The second migration finds the newest schema and leaves it."""
    opened = Database.open(url)
    migrate(opened)
    with opened.read() as connection:
        before = sorted(inspect(connection).get_table_names())
    migrate(opened)
    with opened.read() as connection:
        assert sorted(inspect(connection).get_table_names()) == before
    assert {"journal", "alembic_version"} <= set(before)
    opened.close()


def test_programs_may_migrate_one_database_at_the_same_time(url: str) -> None:
    """Four programs that start on an empty database all find its newest schema."""
    assert migrate_together(url, 4) == [0, 0, 0, 0]


def test_a_newer_schema_is_refused_with_both_revisions(url: str) -> None:
    """A database that a newer program migrated is left alone, and the error says which is which."""
    opened = Database.open(url)
    migrate(opened)
    with opened.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match=r"revision '9999', newer than this program.*'000\d'"):
        migrate(opened)
    opened.close()


def test_an_unknown_schema_is_refused(url: str) -> None:
    """A revision that is not newer and not ours is called unknown."""
    opened = Database.open(url)
    migrate(opened)
    with opened.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(SchemaError, match="'0000', unknown to this program"):
        migrate(opened)
    opened.close()


def test_a_database_with_two_revisions_is_refused(url: str) -> None:
    """A version table that was tampered with is an error of ours, not of the migration tool."""
    opened = Database.open(url)
    migrate(opened)
    with opened.write() as connection:
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0000')")
    with pytest.raises(SchemaError, match="cannot be brought to the newest schema"):
        migrate(opened)
    opened.close()


def test_tables_of_somebody_else_are_left_alone(database: Database) -> None:
    """A database that holds tables and no revision of ours is refused, naming them."""
    with pytest.raises(SchemaError, match="not ours: children, counters, moments"):
        migrate(database)
