"""A database in a folder, with every table that was imported, made without migrations: for unit tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage import journal
from storage.database import Database, metadata
from storage.journal import Entry


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    """Open a new database; the tables are those that the test's imports registered."""
    database = Database.open(f"sqlite:///{folder}/quartermaster.db")
    with database.write() as connection:
        metadata.create_all(connection)
    yield database
    database.close()


def journalled(database: Database) -> list[Entry]:
    """Return the journal."""
    with database.read() as connection:
        return journal.entries(connection)
