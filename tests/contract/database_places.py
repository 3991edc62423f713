"""The databases the contract suites run on: SQLite always, PostgreSQL when the environment names one.

QM_TEST_POSTGRES_URL is a `postgresql+psycopg://...` URL of a database in which schemas may be created; each
test gets a fresh schema of its own, dropped afterwards. (Variables that begin QUARTERMASTER_ are the server's
settings, and it refuses those it does not know.)
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, make_url

import storage
from storage.database import Database

POSTGRES = os.environ.get("QM_TEST_POSTGRES_URL")
PLACES = ["sqlite", *(["postgresql"] if POSTGRES else [])]


@contextmanager
def fresh(place: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database."""
    if place == "sqlite":
        yield f"sqlite:///{folder / 'quartermaster.db'}"
        return
    base = make_url(POSTGRES or "")
    schema = f"qm_{secrets.token_hex(6)}"
    engine = create_engine(base)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        url = base.update_query_dict({"options": f"-csearch_path={schema}"})
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            with engine.begin() as connection:
                connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    finally:
        engine.dispose()


def migrations() -> Config:
    """Return where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(Path(storage.__path__[0]) / "migrations"))
    return config


@contextmanager
def at_revision(database: Database, revision: str) -> Iterator[Connection]:
    """Bring an empty database to an earlier revision; yield a connection that fills it, and is committed."""
    config = migrations()
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        yield connection
