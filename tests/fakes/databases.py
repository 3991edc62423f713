"""A database with every table that was imported, made without migrations: for unit tests.

It is SQLite in a folder, unless QM_TEST_UNITS_ON is "postgresql": then each test has a fresh schema of the
PostgreSQL that the contract suites use.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage import journal
from storage.database import Database, metadata
from storage.journal import Entry
from tests.contract.database_places import fresh


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    """Open a new database; the tables are those that the test's imports registered."""
    with fresh(os.environ.get("QM_TEST_UNITS_ON", "sqlite"), folder) as url:
        database = Database.open(url)
        with database.write() as connection:
            metadata.create_all(connection)
        yield database
        database.close()


def journalled(database: Database) -> list[Entry]:
    """Return the journal."""
    with database.read() as connection:
        return journal.entries(connection)
