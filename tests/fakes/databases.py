"""A database with every table that was imported, made without migrations: for unit tests.

It is SQLite in a folder, unless QM_TEST_UNITS_ON is "postgresql": then each test has a fresh schema of the
PostgreSQL that the contract suites use.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage import journal
from storage.database import Database, metadata
from storage.journal import Entry
from tests.contract.database_places import fresh

WAIT_SECONDS = 10.0


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


def journalled_once(database: Database, kind: str, subject: str) -> list[Entry]:
    """Return the journal's entries of this kind and subject once there is one; none if there never is."""
    deadline, found = time.monotonic() + WAIT_SECONDS, list[Entry]()
    while not found and time.monotonic() < deadline:
        found = [entry for entry in journalled(database) if (entry.kind, entry.subject) == (kind, subject)]
        time.sleep(0.005)
    return found
