"""An upgrade loses nobody: agents of a database that had no index are found by their labels afterwards."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from distribution.fleet import facts, index
from distribution.fleet.registry import Registry
from storage.database import Database, migrate
from tests.contract.database_places import PLACES, at_revision, fresh

WHO = UUID(int=1)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("before", ["0002", "0003"])
def test_labels_are_found_after_an_upgrade(place: str, before: str, tmp_path: Path) -> None:
    """Those of an operator and those of its token, from the first start on."""
    with fresh(place, tmp_path) as url:
        database = Database.open(url)
        with at_revision(database, before) as connection:
            columns = "uid, labels, capabilities, connected, problem"
            given = {"uid": str(WHO), "labels": '{"env": "prod"}'}
            connection.execute(
                text(f"INSERT INTO agents ({columns}) VALUES (:uid, :labels, 1, false, '')"), given
            )
        migrate(database)
        for _ in range(2):
            Registry(database, lambda _: {"ring": "canary"}).flush()
            with database.read() as connection:
                for labels in ({"env": "prod"}, {"ring": "canary"}):
                    wanted = [frozenset({fact}) for fact in facts.of_labels(labels)]
                    found = index.search(connection, wanted, after=0, limit=10)
                    assert (found.uids, found.total) == ((WHO,), 1)
        database.close()
