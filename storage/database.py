"""The database: one engine, three kinds of transaction, the metadata of all tables, the newest schema.

Rules:

1. `write` is durable, and one at a time in the whole deployment: read, decide, write and journal in one of
   them and nothing can come between. It is what trust rests on: serials, intents, tokens, the journal.
2. `write_relaxed` may lose its last transactions in a power cut, never half of one. For status rows only.
3. `read` sees one snapshot, taken on entry, and cannot write.
4. Tables live beside the module that owns them and register in `metadata`; migrations spell them out again.
5. Times are aware UTC, in whole seconds; a time without a zone is refused.

A `Database` may be used from many threads; a connection belongs to the thread that opened it.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import BigInteger, Connection, DateTime, Dialect, Engine, MetaData, inspect
from sqlalchemy.types import TypeDecorator

from storage.engine import WAIT_SECONDS, Mode, mode_of, open_engine, safe_name, transaction
from storage.errors import SchemaError, UnavailableError

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every table of ours registers here, so that names of constraints are the same on every database."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_migrating = threading.Lock()  # Alembic's `op` and `context` are the process's, not the thread's


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware UTC in and out, cut to whole seconds when stored.

    Raises (when a statement runs): ValueError for a time without a zone.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Cut and convert what goes in."""
        if value is None:
            return None
        moment = in_utc(value)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give what comes out its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class UtcSeconds(TypeDecorator[datetime]):
    """A moment as whole seconds since 1970: for columns that are written so often that a text is felt.

    Raises (when a statement runs): ValueError for a time without a zone.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Cut and convert what goes in."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise _no_zone(value)
        return math.floor(value.timestamp())

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Make a time of what comes out."""
        return None if value is None else datetime.fromtimestamp(value, UTC)


def in_utc(moment: datetime) -> datetime:
    """Return `moment` as the database keeps it: aware UTC, whole seconds.

    Raises:
        ValueError: it has no zone.
    """
    if moment.tzinfo is None:
        raise _no_zone(moment)
    return moment.astimezone(UTC).replace(microsecond=0)


def _no_zone(moment: datetime) -> ValueError:
    return ValueError(f"time {moment.isoformat()} has no zone, expected an aware one")


class Database:
    """One database, opened. Close it when done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # SQLite's own waiting polls and is unfair; within one process a lock hands the turn on at once.
        self._turn = threading.Lock() if engine.dialect.name == "sqlite" else None
        self._mine = threading.local()
        self.doubts = 0
        """How often the connection broke in a commit: nobody knows what was written then."""

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open `sqlite:///path` or `postgresql+psycopg://...`. The caller MUST `migrate` before use.

        Raises:
            SchemaError: no database we know. UnsuitableError: its place cannot keep our promises.
            UnavailableError: it cannot be opened now.
        """
        return cls(open_engine(url))

    @property
    def name(self) -> str:
        """The URL, for messages; a password is hidden."""
        return safe_name(self._engine)

    @property
    def files(self) -> frozenset[Path]:
        """SQLite's own files. Nobody else in this process may open one: closing it drops SQLite's locks.

        Then the next program that looks into the database takes its log away, and what was committed with it.
        """
        place = self._engine.url.database
        if self._turn is None or place is None:
            return frozenset()
        return frozenset(Path(place + ending).absolute() for ending in ("", "-wal", "-shm", "-journal"))

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run the block as one durable transaction; when the block ends without error it is on disk.

        Raises:
            PreconditionError: a constraint refused a row.
            UnavailableError: no turn within 30 s, a full disk, a database gone; nothing was committed,
                unless the message says that nobody knows: the connection broke during the commit itself.
            SchemaError: a table is missing.
            RuntimeError: this thread is already in a write transaction.
        """
        committing = False
        with self._in_turn():
            try:
                with transaction(self._engine, Mode.DURABLE) as connection:
                    yield connection
                    committing = True
            except UnavailableError as exc:
                if not committing or self._turn is not None:  # SQLite knows
                    raise
                self.doubts += 1
                raise UnavailableError(f"{exc}; nobody knows whether this was done") from exc

    @contextmanager
    def write_relaxed(self) -> Iterator[Connection]:
        """Run the block as one transaction that a power cut may undo. Raises: as `write`."""
        with self._in_turn(), transaction(self._engine, Mode.RELAXED) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run the block on one snapshot, taken now; a write in it fails.

        Raises:
            UnavailableError: the database is gone, or too busy. SchemaError: a table is missing.
        """
        with transaction(self._engine, Mode.READ) as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Run the block as one durable transaction in which tables may be rebuilt; for `migrate` alone."""
        with self._in_turn(), transaction(self._engine, Mode.MIGRATING) as connection:
            yield connection

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if getattr(self._mine, "writing", False):
            raise RuntimeError("a write transaction was opened inside another one of the same thread")
        if self._turn is not None and not self._turn.acquire(timeout=WAIT_SECONDS):
            raise UnavailableError(f"{self.name} had no turn to write within {WAIT_SECONDS} s")
        self._mine.writing = True
        try:
            yield
        finally:
            self._mine.writing = False
            if self._turn is not None:
                self._turn.release()


def require_durable(connection: Connection) -> None:
    """Refuse a connection that is not in a durable transaction.

    Raises:
        RuntimeError: the caller took `read` or `write_relaxed` where `write` is needed.
    """
    mode = mode_of(connection)
    if mode is not Mode.DURABLE:
        found = "none of ours" if mode is None else mode.value
        raise RuntimeError(f"transaction is {found}, expected {Mode.DURABLE.value}")


def migrate(database: Database) -> None:
    """Bring the schema to the newest revision, in one transaction; on a database that has it nothing changes.

    Two programs may do this at the same time: the second waits and finds nothing to do.

    Raises:
        SchemaError: the database is newer than this program, holds tables that are not ours, or a row
            would point at nothing afterwards. UnavailableError: as `Database.write`.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with _migrating, database.migrating() as connection:
        config.attributes["connection"] = connection
        try:
            _require_ours(connection, ScriptDirectory.from_config(config), database.name)
            command.upgrade(config, "head")
        except CommandError as exc:
            raise SchemaError(f"{database.name} cannot be brought to the newest schema: {exc}") from exc
        if connection.dialect.name == "sqlite":
            _require_whole_references(connection, database.name)


def _require_ours(connection: Connection, scripts: ScriptDirectory, name: str) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    newest = scripts.get_current_head() or "none"
    if found is None:
        tables = inspect(connection).get_table_names()
        if tables and tables != ["alembic_version"]:
            raise SchemaError(f"{name} holds tables that are not ours: {', '.join(sorted(tables)[:5])}")
        return
    if found not in {script.revision for script in scripts.walk_revisions()}:
        relation = "newer than" if found > newest else "unknown to"
        raise SchemaError(
            f"{name} is at revision {found!r}, {relation} this program, whose newest is {newest!r}"
        )


def _require_whole_references(connection: Connection, name: str) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise SchemaError(
            f"{name}: after migrating, table {broken[0]!r} refers to a row missing in {broken[2]!r}"
        )
