"""Opens the one engine a database needs, begins its transactions, and puts foreign errors into our words.

There are four ways to begin, and no other:

* durable: what it commits survives a power cut. One at a time in the whole deployment, on every database:
  SQLite begins IMMEDIATE, PostgreSQL takes one advisory lock. So what a durable transaction reads cannot
  change before it commits, and code that reads, decides and writes needs no locks of its own.
* relaxed: it may be lost in a power cut, but never half of it. For status rows that are reported again.
* read: one snapshot, taken on entry; a write in it is refused by the database.
* migrating: durable, with SQLite's foreign keys checked at the end and not on the way.

SQLite's driver begins transactions by itself at moments of its own choosing; that is switched off here.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from storage.errors import PreconditionError, SchemaError, StorageError, UnavailableError, UnsuitableError

WAIT_SECONDS: Final = 30
"""How long a transaction waits for its turn, or for a connection, before it gives up."""

_POSTGRES_PATIENCE: Final[dict[str, float | bool]] = {
    "connect_timeout": WAIT_SECONDS,
    # A server that is gone without a word (a host, a network) is noticed after so long, in seconds ...
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # ... and after so long where something was sent to it, in milliseconds.
    "tcp_user_timeout": WAIT_SECONDS * 1000,
}
_POOLED_CONNECTIONS: Final = 8
_EXTRA_CONNECTIONS: Final = 24
_POSTGRES_LOCK: Final = 0x5155415254455231  # "QUARTER1": the advisory lock of durable transactions
_OPTION: Final = "quartermaster_mode"

_SQLITE_NOT_NOW: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class Mode(Enum):
    """How a transaction begins."""

    DURABLE = "durable"
    RELAXED = "relaxed"
    READ = "read"
    MIGRATING = "migrating"


def open_engine(url: str) -> Engine:
    """Open `sqlite:///path` or `postgresql+psycopg://...`; an SQLite file is created, readable by us alone.

    Raises:
        SchemaError: the URL names no database we know, or the file is not a database.
        UnsuitableError: the file's place cannot hold a write-ahead log (a network share, as a rule).
        UnavailableError: it cannot be opened now.
    """
    parsed = _parse(url)
    arguments: dict[str, float | bool] = {}
    if parsed.get_backend_name() == "sqlite":
        _prepare_file(parsed)
        arguments["timeout"] = WAIT_SECONDS
    else:
        arguments |= _POSTGRES_PATIENCE
    engine = create_engine(
        parsed,
        connect_args=arguments,
        pool_size=_POOLED_CONNECTIONS,
        max_overflow=_EXTRA_CONNECTIONS,
        pool_timeout=WAIT_SECONDS,
        pool_pre_ping=parsed.get_backend_name() == "postgresql",
        hide_parameters=True,  # what a statement that failed was to write is nobody's who reads the log
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "begin", _begin)
    try:
        with translated(safe_name(engine)), engine.connect():
            pass
    except BaseException:
        engine.dispose()
        raise
    return engine


def safe_name(engine: Engine) -> str:
    """Return the database's URL for messages, its password hidden."""
    return engine.url.render_as_string(hide_password=True)


def mode_of(connection: Connection) -> Mode | None:
    """Return how the connection's transaction began, or None if it is not one of ours."""
    mode = connection.get_execution_options().get(_OPTION)
    return mode if isinstance(mode, Mode) else None


@contextmanager
def transaction(engine: Engine, mode: Mode) -> Iterator[Connection]:
    """Begin as `mode` says, commit at the end; any exception rolls back and goes on upward.

    Raises: see `translated`.
    """
    options: dict[str, object] = {_OPTION: mode}
    if engine.dialect.name == "postgresql":
        reading = mode is Mode.READ
        options["isolation_level"] = "REPEATABLE READ" if reading else "READ COMMITTED"
        options["postgresql_readonly"] = reading
    with (
        translated(safe_name(engine)),
        engine.connect().execution_options(**options) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn the engine's exceptions into ours; `name` says which database.

    Raises:
        PreconditionError: a row would break a constraint: read again, decide again.
        SchemaError: a table or column is missing, or the file is not a database.
        UnavailableError: locked, full, unreachable: worth trying again later.
        ValueError: a column's type refused a value.
        StorageError: the database is damaged, or refused for a reason we have no word for.
    """
    try:
        yield
    except DBAPIError as exc:
        _hide_rows(exc)
        raise _in_our_words(exc, name) from exc
    except StatementError as exc:
        match exc.orig:
            case ValueError():  # a value that its column's type refused
                raise ValueError(str(exc.orig)) from exc
        raise
    except PoolTimeoutError as exc:
        raise UnavailableError(f"no connection to {name} was free within {WAIT_SECONDS} s") from exc


def _hide_rows(exc: DBAPIError) -> None:
    """Leave the first line of what PostgreSQL says: the next one is DETAIL, which may quote the whole row."""
    found = exc.orig
    if found is not None and not isinstance(found, sqlite3.Error):
        found.args = (str(found).partition("\n")[0],)
        exc.args = found.args


def _in_our_words(exc: DBAPIError, name: str) -> StorageError:
    if isinstance(exc, IntegrityError):
        return PreconditionError(f"a row conflicts with what {name} holds: {exc.orig}")
    if isinstance(exc.orig, sqlite3.Error):
        return _sqlite_in_our_words(exc.orig, name)
    if isinstance(exc, OperationalError | InterfaceError):
        return UnavailableError(f"{name} is not available: {exc.orig}")
    if (getattr(exc.orig, "sqlstate", None) or "").startswith("42"):
        return SchemaError(f"{name} is not a database of this schema: {exc.orig}")
    return StorageError(f"{name} failed: {exc.orig}")


def _sqlite_in_our_words(exc: sqlite3.Error, name: str) -> StorageError:
    # Extended result codes keep the primary one in their low byte.
    primary = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_MISMATCH) & 0xFF
    if primary in _SQLITE_NOT_NOW:
        return UnavailableError(f"{name} is not available: {exc}")
    if primary in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB}:
        return SchemaError(f"{name} is not a database of this schema: {exc}")
    return StorageError(f"{name} failed: {exc}")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as exc:  # the second for a port that is no number
        raise SchemaError(
            "the database's URL cannot be read; it begins sqlite:/// or postgresql+psycopg://"
        ) from exc
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        if parsed.database in {None, "", ":memory:"}:
            raise SchemaError(f"database {url!r} names no file, and nothing kept in memory is durable")
        return parsed
    if parsed.drivername == "postgresql+psycopg":
        return parsed
    raise SchemaError(
        f"database of kind {parsed.drivername!r} is not known, expected 'sqlite' or 'postgresql+psycopg'"
    )


def _prepare_file(url: URL) -> None:
    """Create the file, readable by us alone, and give it its write-ahead log, which also is ours alone.

    SQLite does not wait for its turn to switch to the log, so programs that start together do so here.
    """
    path = Path(url.database or "")
    try:
        with _alone_in(path.parent) as folder:
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
                os.fsync(folder)
            with closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as connection:
                (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    except OSError as exc:
        raise UnavailableError(f"database file {str(path)!r} cannot be opened: {exc.strerror}") from exc
    except sqlite3.Error as exc:
        raise _sqlite_in_our_words(exc, repr(str(path))) from exc
    if mode != "wal":
        raise UnsuitableError(f"database file {str(path)!r} keeps journal mode {mode!r}, expected 'wal'")


@contextmanager
def _alone_in(folder: Path) -> Iterator[int]:
    """Hold the folder's lock, not the file's: closing the file would drop locks SQLite holds on it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _tune_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # begin only when told to


def _begin(connection: Connection) -> None:
    how = _SQLITE_BEGIN if connection.dialect.name == "sqlite" else _POSTGRES_BEGIN
    for statement in how[mode_of(connection)]:
        connection.exec_driver_sql(statement)


_SQLITE_BEGIN: Final[dict[Mode | None, tuple[str, ...]]] = {
    Mode.DURABLE: (
        "PRAGMA query_only=OFF",
        "PRAGMA foreign_keys=ON",
        "PRAGMA synchronous=FULL",
        "BEGIN IMMEDIATE",
    ),
    Mode.RELAXED: (
        "PRAGMA query_only=OFF",
        "PRAGMA foreign_keys=ON",
        "PRAGMA synchronous=NORMAL",
        "BEGIN IMMEDIATE",
    ),
    # The snapshot is taken by the first read, so there is one here.
    Mode.READ: ("PRAGMA query_only=ON", "BEGIN", "SELECT 1 FROM sqlite_schema LIMIT 1"),
    Mode.MIGRATING: (
        "PRAGMA query_only=OFF",
        "PRAGMA foreign_keys=OFF",
        "PRAGMA synchronous=FULL",
        "BEGIN IMMEDIATE",
    ),
    None: ("PRAGMA query_only=ON", "BEGIN"),
}

_LOCK: Final = (
    f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'",
    f"SELECT pg_advisory_xact_lock({_POSTGRES_LOCK})",
)
_POSTGRES_BEGIN: Final[dict[Mode | None, tuple[str, ...]]] = {
    Mode.DURABLE: ("SET LOCAL synchronous_commit = on", *_LOCK),
    Mode.RELAXED: (f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'", "SET LOCAL synchronous_commit = off"),
    Mode.READ: ("SELECT 1",),
    Mode.MIGRATING: ("SET LOCAL synchronous_commit = on", *_LOCK),
    None: (),
}
