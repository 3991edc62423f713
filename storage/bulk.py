"""Many rows changed by one statement, as fast as each database takes them.

Measured (`benchmarks/status_rows.py`): PostgreSQL takes whole columns as binary arrays in a third of the time
that it takes the same rows one after the other, and works on one batch while the next is made ready; SQLite
runs one prepared statement over all rows.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, Final

import psycopg
from sqlalchemy import Column, Connection, Table
from sqlalchemy.exc import DBAPIError

BATCH: Final = 500
"""Rows of one statement."""

Pause = Callable[[], None]
"""Called between batches, so that other threads get their turn."""

_Cells = tuple[object, ...]


def _first_line(record: logging.LogRecord) -> bool:
    """Leave out what PostgreSQL says beyond its first line: it may quote a whole row."""
    record.msg, record.args = record.getMessage().partition("\n")[0], None
    return True


logging.getLogger("psycopg").addFilter(_first_line)  # it tells of what fails while a pipeline is given up


def _none() -> None:
    pass


def update_rows(
    connection: Connection,
    table: Table,
    key: str,
    columns: Sequence[str],
    rows: Iterable[_Cells],
    *,
    pause: Pause = _none,
) -> None:
    """Set columns of many rows; a row that is not there is passed over.

    Args:
        connection: a transaction that writes.
        table: of ours.
        key: the column that names a row.
        columns: what is set.
        rows: the key's value and those of `columns`, in that order.
        pause: called between batches.
    """
    named = [table.c[name] for name in (key, *columns)]
    first, *others = _quoted(connection, named)
    if _takes_arrays(connection):
        told = ", ".join(f"{name} = told.{name}" for name in others)
        arrays = _arrays(connection, named)
        statement = (  # nothing of it comes from outside
            f"UPDATE {table.name} SET {told} "  # noqa: S608
            f"FROM unnest({arrays}) AS told({', '.join((first, *others))}) "
            f"WHERE {table.name}.{first} = told.{first}"
        )
    else:
        told = ", ".join(f"{name} = ?{number}" for number, name in enumerate(others, 2))
        statement = f"UPDATE {table.name} SET {told} WHERE {first} = ?1"  # noqa: S608 - as above
    _run(connection, statement, named, rows, pause)


def put_rows(
    connection: Connection,
    table: Table,
    keys: Sequence[str],
    columns: Sequence[str],
    rows: Iterable[_Cells],
    *,
    pause: Pause = _none,
) -> None:
    """Insert many rows; of those that are there already, set the columns that are no key.

    Args:
        connection: a transaction that writes.
        table: of ours.
        keys: the columns that name a row, which MUST be unique together; each is named by one row at most.
        columns: the other columns.
        rows: the values of `keys` and of `columns`, in that order.
        pause: called between batches.
    """
    named = [table.c[name] for name in (*keys, *columns)]
    quoted = _quoted(connection, named)
    names, others = ", ".join(quoted), quoted[len(keys) :]
    told = ", ".join(f"{name} = excluded.{name}" for name in others)
    brought = (
        f"SELECT * FROM unnest({_arrays(connection, named)})"  # noqa: S608 - nothing comes from outside
        if _takes_arrays(connection)
        else f"VALUES ({', '.join('?' for _ in named)})"
    )
    action = f"UPDATE SET {told}" if told else "NOTHING"
    statement = (
        f"INSERT INTO {table.name} ({names}) {brought} "
        f"ON CONFLICT ({', '.join(quoted[: len(keys)])}) DO {action}"
    )
    _run(connection, statement, named, rows, pause)


def _run(
    connection: Connection,
    statement: str,
    columns: Sequence[Column[Any]],
    rows: Iterable[_Cells],
    pause: Pause,
) -> None:
    batches = _batches(rows)
    first = next(batches, None)
    if first is None:
        return
    with _streamed(connection):
        for batch in chain((first,), batches):
            connection.exec_driver_sql(statement, _prepared(connection, columns, batch))
            pause()


@contextmanager
def _streamed(connection: Connection) -> Iterator[None]:
    """Let PostgreSQL answer later; at the end of the block it has, and what failed is raised."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        yield
        return
    try:
        with driver.pipeline():
            yield
    except psycopg.Error as exc:
        raise DBAPIError.instance(
            None, None, exc, psycopg.Error, hide_parameters=True, dialect=connection.dialect
        ) from exc


def _prepared(
    connection: Connection, columns: Sequence[Column[Any]], batch: list[_Cells]
) -> list[_Cells] | tuple[list[object], ...]:
    """Return what the driver takes: rows, or whole columns."""
    processors = _processors(connection, columns)
    if not _takes_arrays(connection) and not processors:
        return batch
    # Column by column: a type is looked up once, and not for every row.
    told: list[list[object]] = [list(cells) for cells in zip(*batch, strict=True)]
    for place, process in processors:
        told[place] = [process(cell) for cell in told[place]]
    return tuple(told) if _takes_arrays(connection) else list(zip(*told, strict=True))


def _takes_arrays(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _arrays(connection: Connection, columns: Sequence[Column[Any]]) -> str:
    return ", ".join(f"%b::{column.type.compile(connection.dialect)}[]" for column in columns)


def _quoted(connection: Connection, columns: Sequence[Column[Any]]) -> list[str]:
    quote = connection.dialect.identifier_preparer.quote
    return [quote(column.name) for column in columns]


def _processors(
    connection: Connection, columns: Sequence[Column[Any]]
) -> list[tuple[int, Callable[[Any], Any]]]:
    """Return how values of the columns' types are converted, of those columns where they are."""
    dialect = connection.dialect  # its own form of the type: only that knows how SQLite is told a time
    found = [
        (place, column.type.dialect_impl(dialect).bind_processor(dialect))
        for place, column in enumerate(columns)
    ]
    return [(place, process) for place, process in found if process is not None]


def _batches(rows: Iterable[_Cells]) -> Iterator[list[_Cells]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch
