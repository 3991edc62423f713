"""The databases that measurements run on: SQLite in a folder, and PostgreSQL that waits for its disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from storage.database import Database, migrate
from tests.fakes import postgres

ENGINES = ("sqlite", "postgresql")


@contextmanager
def an_engine(name: str, disk: str | None = None, kind: type[Database] = Database) -> Iterator[Database]:
    """Yield an empty database of this kind at its newest schema.

    Args:
        name: one of `ENGINES`.
        disk: a folder on the disk that is meant; the system's for temporary files by default.
        kind: what is opened.

    Raises:
        tests.fakes.postgres.NoPostgresError: there is none on this machine.
    """
    if name == "sqlite":
        with (
            tempfile.TemporaryDirectory(prefix="qm", dir=disk) as folder,
            _opened(f"sqlite:///{folder}/fleet.db", kind) as database,
        ):
            yield database
        return
    with postgres.serving(durable=True, disk=disk) as url, _opened(url, kind) as database:
        yield database


@contextmanager
def _opened(url: str, kind: type[Database]) -> Iterator[Database]:
    database = kind.open(url)
    try:
        migrate(database)
        yield database
    finally:
        database.close()
