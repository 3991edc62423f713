"""storage/engine.py: which databases open, how transactions begin, and what foreign errors become."""

import fcntl
import os
import sqlite3
import stat
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError, StatementError

from storage import engine as engine_module
from storage.engine import Mode, mode_of, open_engine, safe_name, transaction
from storage.errors import SchemaError, StorageError, UnavailableError, UnsuitableError


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(f"sqlite:///{tmp_path / 'q.db'}")
    yield opened
    opened.dispose()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "cannot be read"),
        ("quartermaster.db", "cannot be read"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("mysql://host/name", "'mysql' is not known"),
        ("postgresql+psycopg://host:port/name", "URL cannot be read"),
        ("postgresql://host/name", r"'postgresql' is not known, expected .* 'postgresql\+psycopg'"),
    ],
)
def test_a_url_of_no_known_database_is_refused(url: str, reason: str) -> None:
    """The error names the kind that was given and those that are expected."""
    with pytest.raises(SchemaError, match=reason):
        open_engine(url)


def test_a_file_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """The database's folder is not made up; the file is named."""
    with pytest.raises(UnavailableError, match=r"none/q\.db' cannot be opened: No such file"):
        open_engine(f"sqlite:///{tmp_path / 'none' / 'q.db'}")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Some other file under the name is left alone."""
    path = tmp_path / "q.db"
    path.write_bytes(b"a letter to nobody" * 100)
    with pytest.raises(SchemaError, match="not a database"):
        open_engine(f"sqlite:///{path}")
    assert path.read_bytes() == b"a letter to nobody" * 100


def test_a_place_without_a_write_ahead_log_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where SQLite keeps its old journal mode, the promises of durable and snapshot do not hold."""

    class Elsewhere(sqlite3.Connection):
        def execute(self, _sql: str, *_parameters: object) -> sqlite3.Cursor:
            return super().execute("SELECT 'delete'")

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Elsewhere))
    with pytest.raises(UnsuitableError, match="journal mode 'delete', expected 'wal'"):
        open_engine(f"sqlite:///{tmp_path / 'q.db'}")


def test_programs_switch_to_the_log_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is locked while the journal mode is set: SQLite would refuse the second, not let it wait."""
    held: list[bool] = []
    connect = sqlite3.connect

    def observed(path: Path, timeout: float) -> sqlite3.Connection:
        folder = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.append(False)
        except BlockingIOError:
            held.append(True)
        finally:
            os.close(folder)
        return connect(path, timeout=timeout)

    monkeypatch.setattr(sqlite3, "connect", observed)
    engine_module._prepare_file(make_url(f"sqlite:///{tmp_path / 'q.db'}"))
    assert held == [True]


def test_the_file_and_its_log_are_ours_alone(engine: Engine, tmp_path: Path) -> None:
    """Nobody else may read the database, its log or its index."""
    with transaction(engine, Mode.DURABLE) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"q.db": 0o600, "q.db-wal": 0o600, "q.db-shm": 0o600}


@pytest.mark.parametrize(
    ("mode", "synchronous", "foreign_keys", "query_only"),
    [
        (Mode.DURABLE, 2, 1, 0),
        (Mode.RELAXED, 1, 1, 0),
        (Mode.READ, None, None, 1),
        (Mode.MIGRATING, 2, 0, 0),
    ],
)
def test_each_mode_begins_with_its_settings(
    engine: Engine, mode: Mode, synchronous: int | None, foreign_keys: int | None, query_only: int
) -> None:
    """Durable is synchronous=FULL (2), relaxed NORMAL (1), whatever the connection was used for before."""
    for other in Mode:
        with transaction(engine, other) as connection:
            assert mode_of(connection) is other
    with transaction(engine, mode) as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("synchronous", "foreign_keys", "query_only")
        ]
    expected = (synchronous, foreign_keys, query_only)
    assert [value for value, wanted in zip(found, expected, strict=True) if wanted is not None] == [
        wanted for wanted in expected if wanted is not None
    ]


def test_a_connection_of_no_mode_cannot_write(engine: Engine) -> None:
    """Whoever goes around the transactions gets a connection that only reads, and has no mode."""
    with engine.connect() as connection:
        assert mode_of(connection) is None
        with pytest.raises(StatementError, match="readonly"):
            connection.execute(text("CREATE TABLE t (x INTEGER)"))


def test_a_database_locked_by_another_program_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After waiting its time a writer is told that it may try again later."""
    monkeypatch.setattr(engine_module, "WAIT_SECONDS", 0.05)
    engine = open_engine(f"sqlite:///{tmp_path / 'q.db'}")
    with closing(sqlite3.connect(tmp_path / "q.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="locked"), transaction(engine, Mode.DURABLE):
            raise AssertionError
    with transaction(engine, Mode.DURABLE):
        pass  # the connection that failed is fit for use
    engine.dispose()


def test_more_readers_than_connections_are_told_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When every connection stays in use for the whole waiting time, the next one is told so."""
    monkeypatch.setattr(engine_module, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(engine_module, "_POOLED_CONNECTIONS", 1)
    monkeypatch.setattr(engine_module, "_EXTRA_CONNECTIONS", 0)
    engine = open_engine(f"sqlite:///{tmp_path / 'q.db'}")
    with (
        transaction(engine, Mode.READ),
        pytest.raises(UnavailableError, match=r"no connection to .* was free within 0\.05 s"),
        transaction(engine, Mode.READ),
    ):
        raise AssertionError
    engine.dispose()


def test_a_damaged_file_is_neither_unavailable_nor_foreign(tmp_path: Path) -> None:
    """A database with broken pages is reported as what it is: waiting will not help."""
    path = tmp_path / "q.db"
    engine = open_engine(f"sqlite:///{path}")
    with transaction(engine, Mode.DURABLE) as connection:
        connection.execute(text("CREATE TABLE t (x TEXT)"))
        connection.execute(text("INSERT INTO t VALUES (hex(randomblob(20000)))"))
    engine.dispose()
    body = bytearray(path.read_bytes())
    body[4096:] = b"\xff" * (len(body) - 4096)
    path.write_bytes(body)
    engine = open_engine(f"sqlite:///{path}")
    with (
        pytest.raises(StorageError, match="malformed") as caught,
        transaction(engine, Mode.READ) as connection,
    ):
        connection.execute(text("SELECT x FROM t")).all()
    assert type(caught.value) is StorageError
    engine.dispose()


def test_an_unreachable_server_is_unavailable_and_its_password_unsaid(tmp_path: Path) -> None:
    """Nothing listens there; the message names the server and hides the password."""
    url = f"postgresql+psycopg://ann:hunter2@/name?host={tmp_path}"
    with pytest.raises(UnavailableError, match=r"ann:\*\*\*@/name") as caught:
        open_engine(url)
    assert "hunter2" not in str(caught.value)


def test_the_name_for_messages_hides_the_password(engine: Engine) -> None:
    """A URL is shown as it was given, but for its password."""
    assert safe_name(engine).startswith("sqlite:////")


def test_an_engine_is_used_from_many_threads(engine: Engine) -> None:
    """Connections opened by one thread are handed on to another."""
    found: list[int] = []

    def read() -> None:
        for _ in range(20):
            with transaction(engine, Mode.READ) as connection:
                found.append(connection.execute(text("SELECT 1")).scalar_one())

    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert found == [1] * 240


class DriverError(Exception):
    """What a server's driver raises: it carries the server's code."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("refused")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "expected"), [("42P01", SchemaError), ("22001", StorageError), (None, StorageError)]
)
def test_a_servers_refusals_are_put_into_our_words(sqlstate: str | None, expected: type[Exception]) -> None:
    """Missing tables (SQLSTATE class 42) are a matter of schema; the rest has no word of its own."""
    with pytest.raises(expected, match="refused") as caught, engine_module.translated("the database"):
        raise ProgrammingError("SELECT 1", None, DriverError(sqlstate))
    assert type(caught.value) is expected


def test_what_a_failed_statement_was_to_write_is_not_said(engine: Engine) -> None:
    """Neither in our words nor in the exception behind them, which a log shows whole."""
    with pytest.raises(SchemaError) as caught, transaction(engine, Mode.DURABLE) as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:body)"), {"body": "hunter2"})
    told = "".join(traceback.format_exception(caught.value))
    assert "INSERT INTO nowhere" in told
    assert "hunter2" not in told.replace('{"body": "hunter2"}', "")  # the line of this test


def test_an_unknown_statement_error_goes_on_upward() -> None:
    """A mistake of ours in building a statement is not dressed up as the database's."""
    with pytest.raises(StatementError), engine_module.translated("the database"):
        raise StatementError("wrong", "SELECT 1", None, KeyError("x"))
