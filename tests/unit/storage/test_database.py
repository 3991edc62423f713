"""storage/database.py: turns within one process, names, and what migrating refuses on SQLite."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage import database as database_module
from storage.database import Database, metadata, migrate
from storage.errors import SchemaError, UnavailableError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "q.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{path}")
    yield opened
    opened.close()


def test_a_writer_waits_for_its_turn_and_then_gives_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that got no turn within the waiting time is told so; the turn is not lost."""
    monkeypatch.setattr(database_module, "WAIT_SECONDS", 0.05)
    failures: list[Exception] = []

    def write() -> None:
        try:
            with database.write():
                pass
        except UnavailableError as exc:
            failures.append(exc)

    with database.write():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(timeout=20)
    assert [str(failure) for failure in failures] == [f"{database.name} had no turn to write within 0.05 s"]
    write()
    assert len(failures) == 1


def test_a_database_is_named_by_its_url(database: Database, path: Path) -> None:
    """Messages name the database by where it is."""
    assert database.name == f"sqlite:///{path}"


def test_closing_folds_the_log_into_the_file(database: Database, path: Path) -> None:
    """After closing there is one file, which can be copied away."""
    migrate(database)
    database.close()
    assert [entry.name for entry in path.parent.iterdir()] == ["q.db"]


def test_constraints_are_named_alike_on_every_database() -> None:
    """The naming convention covers every kind of constraint, so migrations can name them."""
    assert sorted(metadata.naming_convention) == ["ck", "fk", "ix", "pk", "uq"]


def test_a_row_that_points_at_nothing_after_migrating_is_refused(database: Database, path: Path) -> None:
    """References are not enforced while tables are rebuilt, so they are checked afterwards."""
    migrate(database)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
        raw.execute("CREATE TABLE children (parent INTEGER REFERENCES parents (id))")
        raw.execute("INSERT INTO children VALUES (7)")
        raw.commit()
    with pytest.raises(SchemaError, match="table 'children' refers to a row missing in 'parents'"):
        migrate(database)
