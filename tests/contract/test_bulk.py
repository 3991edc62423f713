"""Many rows changed by one statement: every type and None, on every database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, String, Table, Text, insert, select

from storage.bulk import BATCH, put_rows, update_rows
from storage.database import Database, UtcDateTime
from storage.errors import PreconditionError, StorageError
from tests.contract.database_places import PLACES, fresh

TABLE = Table(
    "things",
    MetaData(),
    Column("name", String(36), primary_key=True),
    Column("text", Text),
    Column("number", Integer),
    Column("true", Boolean),
    Column("at", UtcDateTime),
    Column("data", LargeBinary),
)
STRICT = Table(
    "strict",
    MetaData(),
    Column("name", String(36), primary_key=True),
    Column("text", Text, nullable=False),
)
COLUMNS = ("text", "number", "true", "at", "data")
NOW = datetime(2026, 3, 4, 5, 6, 7, 999_999, tzinfo=UTC)
ODD = '{"a":"\\"quoted\\", {braces}, \\\\ and NULL",\n"b":"\N{SNOWMAN}"}'


@pytest.fixture(params=PLACES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with fresh(request.param, tmp_path) as url:
        opened = Database.open(url)
        with opened.write() as connection:
            TABLE.create(connection)
            STRICT.create(connection)
            connection.execute(insert(TABLE), [{"name": str(number)} for number in range(BATCH + 10)])
        yield opened
        opened.close()


def row(database: Database, name: str) -> tuple[object, ...]:
    with database.read() as connection:
        found = connection.execute(select(TABLE).where(TABLE.c.name == name)).one()
    return tuple(found)[1:]


def test_every_type_is_written_as_by_itself(database: Database) -> None:
    """Quotes, braces and NULL as text, times in whole seconds, None in any place; other rows stay."""
    with database.write_relaxed() as connection:
        update_rows(
            connection,
            TABLE,
            "name",
            COLUMNS,
            [
                ("1", ODD, 1 << 30, True, NOW, b"\0\xff"),
                ("2", None, None, None, None, None),
                ("3", "", -1, False, NOW, b""),
            ],
        )
    assert row(database, "1") == (ODD, 1 << 30, True, NOW.replace(microsecond=0), b"\0\xff")
    assert row(database, "2") == (None,) * 5
    assert row(database, "3") == ("", -1, False, NOW.replace(microsecond=0), b"")
    assert row(database, "4") == (None,) * 5


def test_more_rows_than_a_statement_takes(database: Database) -> None:
    """All of them are written, and one that is not there is passed over."""
    with database.write_relaxed() as connection:
        rows = [(str(number), number) for number in range(BATCH + 20)]
        update_rows(connection, TABLE, "name", ("number",), rows)
        written = connection.execute(select(TABLE.c.number)).scalars().all()
    assert sorted(found for found in written if found is not None) == list(range(BATCH + 10))


def test_a_column_that_is_all_none_has_its_type(database: Database) -> None:
    """An array of nothing but None is still one of times, numbers or bytes."""
    with database.write_relaxed() as connection:
        update_rows(connection, TABLE, "name", COLUMNS, [("1", "x", 1, True, NOW, b"x")])
        update_rows(connection, TABLE, "name", COLUMNS, [("1", *(None,) * 5)])
    assert row(database, "1") == (None,) * 5


def test_rows_are_put_in_or_replaced(database: Database) -> None:
    """New ones come in, known ones get the new values; without other columns known ones stay as they are."""
    with database.write_relaxed() as connection:
        put_rows(
            connection, TABLE, ("name",), COLUMNS, [("1", ODD, 1, True, NOW, b"\0"), ("new", *5 * (None,))]
        )
        put_rows(connection, TABLE, ("name",), ("number",), [("1", 2)])
        put_rows(connection, TABLE, ("name",), (), [("1",), ("newer",)])
    assert row(database, "1") == (ODD, 2, True, NOW.replace(microsecond=0), b"\0")
    assert row(database, "new") == row(database, "newer") == (None,) * 5


@pytest.mark.parametrize("at", [0, BATCH + 5, 4 * BATCH])
def test_one_row_that_does_not_fit_takes_all_back(database: Database, at: int) -> None:
    """The error is of our kinds, whichever batch it is in, and no row of any batch was written."""
    rows = [(f"new-{number}", None if number == at else "x") for number in range(4 * BATCH + 1)]
    with pytest.raises(PreconditionError), database.write_relaxed() as connection:
        put_rows(connection, STRICT, ("name",), ("text",), rows)
    with database.write_relaxed() as connection:
        assert connection.execute(select(STRICT)).all() == []
        put_rows(connection, STRICT, ("name",), ("text",), [("1", "y")])


def test_there_is_a_pause_after_every_batch(database: Database) -> None:
    """Others have their turn."""
    pauses: list[None] = []
    with database.write_relaxed() as connection:
        rows = [(str(number), number) for number in range(BATCH + 1)]
        update_rows(connection, TABLE, "name", ("number",), rows, pause=lambda: pauses.append(None))
    assert len(pauses) == 2


def test_nothing_to_write_is_no_statement(database: Database) -> None:
    """An empty set of rows is fine, also where nothing may be written."""
    with database.read() as connection:
        update_rows(connection, TABLE, "name", ("number",), [])
    with pytest.raises(StorageError), database.read() as connection:
        update_rows(connection, TABLE, "name", ("number",), [("1", 1)])


def test_a_fault_beside_a_refused_row_tells_nothing_of_it(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The driver logs what it gives up, in its own words; PostgreSQL's quote a whole row."""

    def fail() -> None:
        raise LookupError("broken")

    rows = [(f"s3cret-{number}", None) for number in range(4 * BATCH)]
    with pytest.raises((LookupError, PreconditionError)), database.write_relaxed() as connection:
        put_rows(connection, STRICT, ("name",), ("text",), rows, pause=fail)
    assert "s3cret" not in caplog.text
