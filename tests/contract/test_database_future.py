"""What a next revision may rely on: tables are rebuilt under their references, a failure undoes all."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage import database as database_module
from storage.database import Database, migrate
from storage.errors import SchemaError
from tests.contract.database_places import PLACES, fresh
from tests.contract.schema_words import describe

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "{newest}"


def upgrade():
    {body}
"""

REBUILD = """
    with op.batch_alter_table("enrollments", recreate="auto") as batch:
        batch.alter_column("standing", type_=sa.String(20), existing_nullable=False)
"""

FAIL = """
    op.create_table("half", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO half VALUES (1)")
    op.execute("INSERT INTO nowhere VALUES (1)")
"""


@pytest.fixture(params=PLACES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of today with an agent and its credential."""
    with fresh(request.param, tmp_path) as url:
        opened = Database.open(url)
        migrate(opened)
        with opened.write() as connection:
            connection.exec_driver_sql(
                "INSERT INTO enrollments (agent, token_id, labels, at, standing, standing_since) "
                "VALUES ('a1', 't1', '{}', '2026-06-01 12:00:00', 'enrolled', '2026-06-01 12:00:00')"
            )
            connection.exec_driver_sql(
                "INSERT INTO credentials (serial, agent, slot, state, spki_sha256, unsigned_sha256, "
                "not_before, not_after, chain_pem, intended_at) VALUES ('0a', 'a1', 'current', 'live', "
                "'', '', '2026-06-01 12:00:00', '2026-06-01 12:00:00', '', '2026-06-01 12:00:00')"
            )
        yield opened
        opened.close()


@pytest.fixture
def tomorrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give the program one more revision, with this body."""

    def add(body: str) -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(database_module._MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        newest = max(path.name[1:5] for path in (folder / "versions").glob("v*.py"))
        text = REVISION.format(newest=newest, body=body.strip())
        (folder / "versions" / "v9001_tomorrow.py").write_text(text, encoding="utf-8")
        monkeypatch.setattr(database_module, "_MIGRATIONS", folder)

    return add


def state(database: Database) -> tuple[dict[str, str], str, list[tuple[str, str]]]:
    """Return the schema, the revision, and which credential belongs to which agent."""
    with database.read() as connection:
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        rows = connection.exec_driver_sql(
            "SELECT serial, enrollments.agent FROM credentials JOIN enrollments USING (agent)"
        )
        return describe(connection), revision, [(row[0], row[1]) for row in rows]


def test_a_table_that_others_refer_to_can_be_rebuilt(
    database: Database, tomorrow: Callable[[str], None]
) -> None:
    """SQLite copies a table to change a column; the rows that point at it stay, and still point at it."""
    before, _, rows = state(database)
    tomorrow(REBUILD)
    migrate(database)
    after, revision, rows_after = state(database)
    assert (revision, rows_after) == ("9001", rows)
    assert {thing for thing in after if after[thing] != before.get(thing)} == {"column enrollments.standing"}
    assert after.keys() == before.keys()


def test_a_revision_that_fails_changes_nothing(database: Database, tomorrow: Callable[[str], None]) -> None:
    """Tables and rows that it made before it failed are gone, and the old program still runs."""
    before = state(database)
    tomorrow(FAIL)
    with pytest.raises(SchemaError, match="nowhere"):
        migrate(database)
    assert state(database) == before


def test_todays_program_refuses_tomorrows_database(
    database: Database, tomorrow: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put back in place after an upgrade, the old program says which revision is newer than its own."""
    today = database_module._MIGRATIONS
    _, newest, _ = state(database)
    tomorrow(REBUILD)
    migrate(database)
    monkeypatch.setattr(database_module, "_MIGRATIONS", today)
    with pytest.raises(SchemaError, match=f"'9001', newer than this program, whose newest is '{newest}'"):
        migrate(database)
