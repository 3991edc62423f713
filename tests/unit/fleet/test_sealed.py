"""fleet/sealed.py: all that is sealed is counted, and nothing that is not."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from distribution.domain.configuration import ConfigObject
from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import Destination
from distribution.fleet import config_assignments, configurations, connections
from distribution.fleet.configurations import Judgement
from distribution.fleet.sealed import what_is_sealed
from keys.sealing import Seal, new_seal_key
from storage.database import Database
from tests.fakes.certificates import agent
from tests.fakes.databases import opened

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
SEAL = Seal([new_seal_key().strip()], "test")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as found:
        yield found


def sealed(database: Database) -> tuple[str, ...]:
    with database.read() as connection:
        return what_is_sealed(connection)


def add(database: Database, name: str, *, secret: bool) -> None:
    with database.write() as connection:
        configurations.add(
            connection,
            name,
            {"": ConfigObject(b"a: 1", "text/yaml", "")},
            seal=SEAL,
            secret=secret,
            variables=(),
            judgement=Judgement(True, "", ""),
            actor="operator:ann",
            now=NOW,
        )


def test_nothing_is_sealed_where_nothing_is_secret(database: Database) -> None:
    """Settings without secrets, open versions, and values that were taken away need no seal."""
    assert sealed(database) == ()
    with database.write() as connection:
        connections.put(
            connection, Setting("beat", Kind.OPAMP, heartbeat_seconds=5), SEAL, actor="x", now=NOW
        )
        config_assignments.set_values(connection, agent(1), {"n": None}, seal=SEAL, actor="x", now=NOW)
    add(database, "open", secret=False)
    assert sealed(database) == ()


def test_each_kind_of_secret_is_counted(database: Database) -> None:
    """An operator is told what is at stake."""
    with database.write() as connection:
        target = Destination("https://otlp.example/v1/metrics", {"Authorization": "Basic s3cret"})
        connections.put(connection, Setting("m", Kind.METRICS, {}, target), SEAL, actor="x", now=NOW)
        given = {"one": "1", "two": "2", "gone": None}
        config_assignments.set_values(connection, agent(1), given, seal=SEAL, actor="x", now=NOW)
    add(database, "secret", secret=True)
    assert sealed(database) == (
        "1 connection settings with secrets",
        "1 secret versions of configurations",
        "2 values of single agents",
    )
