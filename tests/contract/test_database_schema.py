"""The migrations make the schema that the code declares, and every earlier database reaches it unharmed."""

import importlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, select, text

import distribution
import keys
import storage
from distribution.fleet import agents
from keys.admission import Admission
from keys.certificate import Serial
from keys.errors import NotAdmittedError
from keys.identity import AgentId
from storage import journal
from storage.database import Database, metadata, migrate
from storage.errors import SchemaError
from storage.journal import Head
from tests.contract.database_places import PLACES, at_revision, fresh, migrations
from tests.contract.schema_words import describe, differences

USES_METADATA = re.compile(r"from storage\.database import (\([^)]*|[^\n(]*)\bmetadata\b")
COPIES = Path(__file__).resolve().parents[1] / "data" / "databases"
MOVED = {"agents": ("health", "connected", "last_seen")}
"""Columns that another table holds now; `test_the_status_of_every_agent_moves` looks for what was in them."""
LAST_HASH = "1e09fa0dd34d6cd23c9b33ff88b3f64934a29581ef161fd0a0d997328a17151a"
"""Of entry 22, the last one of the 0001 copy."""


def revisions() -> list[str]:
    """Every revision there is, oldest first."""
    scripts = ScriptDirectory.from_config(migrations())
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


def import_every_table() -> None:
    """Import each module of ours that speaks of the common metadata, so that all tables are in it."""
    for package in (storage, keys, distribution):
        top = Path(package.__path__[0])
        for path in sorted(top.rglob("*.py")):
            if USES_METADATA.search(path.read_text(encoding="utf-8")):
                parts = path.relative_to(top.parent).with_suffix("").parts
                importlib.import_module(".".join(parts))


@pytest.fixture(params=PLACES)
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Database, Database]]:
    """One database migrated, one made from the tables in the code."""
    import_every_table()
    with ExitStack() as stack:
        opened = []
        for name in ("migrated", "declared"):
            (tmp_path / name).mkdir()
            opened.append(Database.open(stack.enter_context(fresh(request.param, tmp_path / name))))
            stack.callback(opened[-1].close)
        migrate(opened[0])
        with opened[1].write() as connection:
            metadata.create_all(connection)
        yield opened[0], opened[1]


def described(database: Database) -> dict[str, str]:
    with database.read() as connection:
        return describe(connection)


def test_the_migrations_make_what_the_code_declares(two: tuple[Database, Database]) -> None:
    """Table by table and column by column; a difference is named."""
    migrated, declared = map(described, two)
    assert differences(migrated, declared) == []
    assert {f"table {name}" for name in metadata.tables} <= set(migrated)


def test_every_room_has_its_tables() -> None:
    """No table is left out of the comparison because nobody imported it."""
    import_every_table()
    assert set(metadata.tables) >= {"journal", "credentials", "enrollments", "enrollment_tokens", "agents"}


CHANGES = {
    "ALTER TABLE channels ADD COLUMN colour TEXT": "column channels.colour",
    "ALTER TABLE channels DROP COLUMN version": "column channels.version",
    "ALTER TABLE agents RENAME TO agents2": "table agents2",
    "DROP INDEX ix_credentials_agent": "index credentials.ix_credentials_agent",
    "DROP INDEX uq_credentials_open_slot; "
    "CREATE UNIQUE INDEX uq_credentials_open_slot ON credentials (agent, slot)": (
        "index credentials.uq_credentials_open_slot"
    ),
}


@pytest.mark.parametrize(("change", "named"), CHANGES.items())
def test_a_difference_is_named(two: tuple[Database, Database], change: str, named: str) -> None:
    """The comparison sees a column too many, one too few, a lost index and a condition that was dropped."""
    with two[0].write() as connection:
        for statement in change.split("; "):
            connection.exec_driver_sql(statement)
    found = differences(*map(described, two))
    assert any(line.startswith(f"{named}: ") for line in found), found


def test_every_earlier_revision_has_a_stored_copy() -> None:
    """Whoever adds a revision also stores a database of the one before."""
    assert [path.stem for path in sorted(COPIES.glob("*.sql"))] == revisions()[:-1]


@pytest.fixture(params=sorted(COPIES.glob("*.sql")), ids=lambda path: path.stem)
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database as an earlier revision left it."""
    path = tmp_path / "quartermaster.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(request.param.read_text(encoding="utf-8"))
    return path


def rows(path: Path, names: dict[str, list[str]] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return every table's rows; with `names`, only those tables and columns."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'alembic_version'"
        tables = list(names or [row[0] for row in connection.execute(query)])
        return {
            table: [
                {column: row[column] for column in (names[table] if names else row.keys())}
                for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
            ]
            for table in tables
        }


def test_a_stored_copy_has_rows_in_every_table(copy: Path) -> None:
    """A copy in which a table is empty would show nothing of that table's upgrade."""
    assert [table for table, found in rows(copy).items() if not found] == []


def test_a_stored_copy_is_upgraded_with_every_row(copy: Path) -> None:
    """Whatever an earlier revision wrote is there afterwards, and the schema is the newest."""
    before = rows(copy)
    database = Database.open(f"sqlite:///{copy}")
    migrate(database)
    with database.read() as connection:
        upgraded = describe(connection)
        version = Table("alembic_version", MetaData(), autoload_with=connection)
        assert connection.execute(select(version.c.version_num)).scalars().all() == revisions()[-1:]
    columns = {
        table: [column for column in found[0] if column not in MOVED.get(table, ())]
        for table, found in before.items()
    }
    if "agent_numbers" in before:  # those that have none get one
        after = rows(copy, {"agent_numbers": columns.pop("agent_numbers")})["agent_numbers"]
        assert [row for row in after if row in before["agent_numbers"]] == before["agent_numbers"]
    assert rows(copy, columns) == {
        table: [{column: row[column] for column in columns[table]} for row in before[table]]
        for table in columns
    }
    fresh_one = Database.open(f"sqlite:///{copy.with_name('fresh.db')}")
    migrate(fresh_one)
    assert differences(upgraded, described(fresh_one)) == []
    database.close()
    fresh_one.close()


AT_0003 = """
INSERT INTO agents (uid, labels, capabilities, health, connected, last_seen, problem) VALUES
    ('b', '{}', 1, '[true,"",""]', true, '2026-03-04 05:06:07+00:00', ''),
    ('a', '{}', 1, NULL, false, NULL, ''),
    ('c', '{}', 1, NULL, false, '1969-12-31 23:59:59+00:00', '');
INSERT INTO agent_numbers (number, uid, labels, told) VALUES (4, 'c', NULL, :told)
"""


@pytest.mark.parametrize("place", PLACES)
def test_the_status_of_every_agent_moves(place: str, tmp_path: Path) -> None:
    """To the second, on every database; who had no number has one, and is told to the index at the start."""
    with fresh(place, tmp_path) as url:
        database = Database.open(url)
        with at_revision(database, "0003") as connection:
            for statement in AT_0003.split(";\n"):
                connection.execute(text(statement), {"told": b""} if ":told" in statement else {})
            if place == "postgresql":  # as a number that was given would have
                connection.exec_driver_sql("SELECT setval('agent_numbers_number_seq', 4)")
        migrate(database)
        with database.read() as connection:
            found = [
                (row.uid, row.number is None, row.indexed, row.health, row.connected, row.last_seen)
                for row in agents.every(connection)
            ]
        database.close()
    assert found == [
        ("a", False, False, None, False, None),
        ("b", False, False, '[true,"",""]', True, datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ("c", False, True, None, False, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ]


def test_a_stored_copy_that_cannot_be_upgraded_stays_as_it_was(copy: Path) -> None:
    """A row that points at nothing stops the upgrade, which is undone whole; both tables are named."""
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("DELETE FROM enrollments WHERE agent LIKE '%1'")
        connection.commit()
    before = rows(copy)
    database = Database.open(f"sqlite:///{copy}")
    with pytest.raises(SchemaError, match="table 'credentials' refers to a row missing in 'enrollments'"):
        migrate(database)
    database.close()
    assert rows(copy) == before


def test_an_upgraded_copy_still_works(tmp_path: Path) -> None:
    """Of the 0001 copy: the journal is whole to its last hash, and the ledger admits whom it admitted."""
    path = tmp_path / "quartermaster.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((COPIES / "0001.sql").read_text(encoding="utf-8"))
    database = Database.open(f"sqlite:///{path}")
    migrate(database)
    with database.read() as connection:
        last = journal.verify(connection, Head(22, LAST_HASH))
    assert last == Head(22, LAST_HASH)
    admission = Admission(database, lambda: datetime(2026, 6, 1, 13, tzinfo=UTC))
    agent = AgentId.parse("01890000-0000-7000-8000-000000000001")
    assert admission.admit(serial(4), agent).agent == agent
    assert dict(admission.labels_of(agent)) == {"site": "north", "ring": "canary"}
    for ended in (1, 2, 3):
        with pytest.raises(NotAdmittedError):
            admission.admit(serial(ended))
    database.close()


def serial(number: int) -> Serial:
    return Serial((0x5A << 120) | number)
