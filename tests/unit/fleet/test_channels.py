"""Channels remembered: what was put is what is found."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from distribution.domain.assignment import Channel
from distribution.domain.package import Version
from distribution.errors import UnknownError
from distribution.fleet import channels
from storage.database import Database
from tests.fakes.databases import opened

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


def channel(name: str = "stable", version: str = "1.0.0", **selector: str) -> Channel:
    return Channel(name, "acme", "collector", Version.parse(version), False, selector)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as found:
        yield found


def put(database: Database, *wanted: Channel) -> None:
    with database.write() as connection:
        for one in wanted:
            channels.put(connection, one, actor="operator:ann", now=NOW)


def test_a_channel_is_found_as_it_was_put(database: Database) -> None:
    """Version, mark and selector survive, and who set it when."""
    wanted = Channel("eu", "acme", "collector", Version.parse("1.2.3-rc.1"), True, {"region": "eu"})
    put(database, wanted)
    with database.read() as connection:
        assert channels.find(connection, "eu") == channels.SetChannel(wanted, NOW, "operator:ann")
        assert channels.find(connection, "us") is None


def test_putting_again_replaces(database: Database) -> None:
    """A name has one channel."""
    put(database, channel(version="1.0.0"), channel(version="1.1.0"))
    with database.read() as connection:
        assert [str(found.channel.version) for found in channels.every(connection)] == ["1.1.0"]


def test_channels_are_listed_by_name(database: Database) -> None:
    """The order is that of the names, so that lists are stable."""
    put(database, channel("stable"), channel("canary", ring="canary"))
    with database.read() as connection:
        assert [found.channel.name for found in channels.every(connection)] == ["canary", "stable"]


def test_removing_returns_what_it_was_and_fails_on_nothing(database: Database) -> None:
    """Removing names what is gone; a misspelt name is told."""
    put(database, channel())
    with database.write() as connection:
        assert channels.remove(connection, "stable").channel == channel()
    with database.write() as connection, pytest.raises(UnknownError, match="'stable' does not exist"):
        channels.remove(connection, "stable")
