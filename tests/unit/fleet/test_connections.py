"""Connection settings remembered: what was put is what is offered, and what is shown has no secrets."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import Destination
from distribution.errors import UnknownError
from distribution.fleet import connections
from distribution.fleet.connections import HIDDEN, SetSetting
from keys.errors import CustodyError
from keys.sealing import Seal, new_seal_key
from storage.database import Database
from tests.fakes.databases import opened

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
SEAL = Seal([new_seal_key().strip()], "test")
OTLP = Destination("https://otlp.example/v1/metrics", {"Authorization": "Basic s3cret"}, "PEM", {}, True)
METRICS = Setting("m", Kind.METRICS, {"region": "eu"}, OTLP)
KAFKA = Setting("k", Kind.OTHER, {}, Destination("kafka:9093", settings={"password": "s3cret"}), "kafka")
BEAT = Setting("beat", Kind.OPAMP, heartbeat_seconds=5)
OFF = Setting("off", Kind.LOGS)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as found:
        yield found


def put(database: Database, *wanted: Setting) -> None:
    with database.write() as connection:
        for one in wanted:
            connections.put(connection, one, SEAL, actor="operator:ann", now=NOW)


def test_what_was_put_is_offered(database: Database) -> None:
    """Every kind comes back as it went in, in the order of the names."""
    put(database, METRICS, KAFKA, BEAT, OFF)
    with database.read() as connection:
        assert connections.opened(connection, SEAL) == (BEAT, KAFKA, METRICS, OFF)


def test_what_is_shown_has_no_secrets(database: Database) -> None:
    """Names of headers and settings, and a word for each value; who set it, and when."""
    put(database, METRICS, KAFKA)
    with database.read() as connection:
        shown = connections.every(connection)
        assert connections.find(connection, "m") == shown[1]
        assert connections.find(connection, "nothing") is None
    hidden = Destination(OTLP.endpoint, {"Authorization": HIDDEN}, "PEM", {}, True)
    assert shown[1] == SetSetting(
        Setting("m", Kind.METRICS, {"region": "eu"}, hidden), NOW, "operator:ann", shown[1].state
    )
    assert shown[0].setting.destination == Destination("kafka:9093", settings={"password": HIDDEN})


def test_no_secret_lies_in_the_database(database: Database, tmp_path: Path) -> None:
    """Neither in a row nor in a byte of the files: a copy of the database gives nothing away."""
    put(database, METRICS, KAFKA)
    with database.read() as connection:
        assert "s3cret" not in str(connection.execute(select(connections.settings)).all())
    assert not [file for file in tmp_path.iterdir() if b"s3cret" in file.read_bytes()]


def test_another_seal_opens_none(database: Database) -> None:
    """Listing still works; offering says what is wrong. Without secrets no seal is needed."""
    put(database, METRICS)
    other = Seal([new_seal_key().strip()], "other")
    with database.read() as connection:
        assert len(connections.every(connection)) == 1
        with pytest.raises(CustodyError, match="'other' does not open"):
            connections.opened(connection, other)
    with database.write() as connection:
        connections.remove(connection, "m")
    put(database, BEAT)
    with database.read() as connection:
        assert connections.opened(connection, other) == (BEAT,)


def test_putting_again_replaces(database: Database) -> None:
    """A name has one setting; nothing of the old one is kept."""
    put(database, METRICS, Setting("m", Kind.METRICS))
    with database.read() as connection:
        assert connections.opened(connection, SEAL) == (Setting("m", Kind.METRICS),)


def test_removing_returns_what_it_was_and_fails_on_nothing(database: Database) -> None:
    """Its secrets hidden; a second time there is nothing to remove."""
    put(database, METRICS)
    with database.write() as connection:
        assert connections.remove(connection, "m").setting.name == "m"
    with database.write() as connection, pytest.raises(UnknownError, match="'m' does not exist"):
        connections.remove(connection, "m")
