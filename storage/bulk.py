"""Many rows changed by one statement, as fast as each database takes them.

Measured (`benchmarks/status_rows.py`): PostgreSQL takes whole columns as binary arrays in a third of the time
that it takes the same rows one after the other; SQLite runs one prepared statement over all rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from sqlalchemy import Column, Connection, Table

BATCH: Final = 500
"""Rows of one statement."""

_Cells = tuple[object, ...]


def update_rows(
    connection: Connection, table: Table, key: str, columns: Sequence[str], rows: Iterable[_Cells]
) -> None:
    """Set columns of many rows; a row that is not there is passed over.

    Args:
        connection: a transaction that writes.
        table: of ours.
        key: the column that names a row.
        columns: what is set.
        rows: the key's value and those of `columns`, in that order.
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
    _run(connection, statement, named, rows)


def put_rows(
    connection: Connection, table: Table, keys: Sequence[str], columns: Sequence[str], rows: Iterable[_Cells]
) -> None:
    """Insert many rows; of those that are there already, set the columns that are no key.

    Args:
        connection: a transaction that writes.
        table: of ours.
        keys: the columns that name a row, which MUST be unique together; each is named by one row at most.
        columns: the other columns.
        rows: the values of `keys` and of `columns`, in that order.
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
    _run(connection, statement, named, rows)


def _run(
    connection: Connection, statement: str, columns: Sequence[Column[Any]], rows: Iterable[_Cells]
) -> None:
    for batch in _batches(_processed(connection, columns, rows)):
        if _takes_arrays(connection):
            connection.exec_driver_sql(statement, tuple(list(cells) for cells in zip(*batch, strict=True)))
        else:
            connection.exec_driver_sql(statement, batch)


def _takes_arrays(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _arrays(connection: Connection, columns: Sequence[Column[Any]]) -> str:
    return ", ".join(f"%b::{column.type.compile(connection.dialect)}[]" for column in columns)


def _quoted(connection: Connection, columns: Sequence[Column[Any]]) -> list[str]:
    quote = connection.dialect.identifier_preparer.quote
    return [quote(column.name) for column in columns]


def _processed(
    connection: Connection, columns: Sequence[Column[Any]], rows: Iterable[_Cells]
) -> Iterable[_Cells]:
    """Convert values as their columns' types do."""
    processors: list[tuple[int, Callable[[Any], Any]]] = []
    for place, column in enumerate(columns):
        processor = column.type.bind_processor(connection.dialect)
        if processor is not None:
            processors.append((place, processor))
    if not processors:
        yield from rows
        return
    for row in rows:
        cells = list(row)
        for place, process in processors:
            cells[place] = process(cells[place])
        yield tuple(cells)


def _batches(rows: Iterable[_Cells]) -> Iterator[list[_Cells]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch
