"""A deployment: only what verifies, never lower by mistake, and the fleet hears at once."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from distribution.domain.assignment import Channel
from distribution.domain.package import Artifact, Digest, PackageType, Release, TargetPath, Version
from distribution.errors import ConflictError, UnknownError
from distribution.fleet.registry import Registry
from distribution.flows import deploy
from keys.identity import AgentId
from storage.database import Database
from storage.errors import UnavailableError
from tests.fakes.databases import journalled, opened
from tests.fakes.live_connections import LiveConnections

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
AGENT = AgentId(uuid.UUID(int=7))
VERSIONS = ("1.0.0", "1.1.0", "2.0.0")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def find(publisher: str, package: str, version: Version) -> Release:
    if (publisher, str(version)) not in {("acme", known) for known in VERSIONS}:
        raise UnknownError(f"release {publisher}/{package}@{version} does not exist")
    path = TargetPath(publisher, package, version, "linux-amd64", "collector")
    artifact = Artifact(path, PackageType.TOP_LEVEL, 1, Digest(bytes(32)))
    return Release(publisher, package, version, PackageType.TOP_LEVEL, {"linux-amd64": artifact})


def set_channel(
    database: Database, connections: LiveConnections, channel: Channel, floor: str | None = None
) -> deploy.Deployed:
    lowest = None if floor is None else Version.parse(floor)
    return deploy.set_channel(
        database,
        connections,
        channel,
        find=find,
        floor=lambda _publisher, _package: lowest,
        actor="operator:ann",
        now=NOW,
    )


def channel(version: str, name: str = "stable", *, allow: bool = False, **selector: str) -> Channel:
    return Channel(name, "acme", "collector", Version.parse(version), allow, selector)


def standing(database: Database) -> list[str]:
    return [str(found.channel.version) for found in deploy.all_channels(database)]


def test_a_channel_points_and_everybody_is_planned_again(database: Database) -> None:
    """Row, journal entry and waking belong together; the release's platforms are told."""
    connections = LiveConnections()
    done = set_channel(database, connections, channel("1.0.0", ring="a"))
    assert done.notes == ("release acme/collector@1.0.0 has files for linux-amd64",)
    assert standing(database) == ["1.0.0"]
    assert connections.woken == [None]
    [entry] = journalled(database)
    assert (entry.kind, entry.subject, entry.actor) == ("channel.set", "channel:stable", "operator:ann")
    assert entry.detail == {
        "package": "acme/collector",
        "version": "1.0.0",
        "before": None,
        "allow_downgrade": False,
        "selector": {"ring": "a"},
    }


def test_a_release_the_catalogue_lacks_is_refused(database: Database) -> None:
    """Nothing is written and nobody is woken."""
    connections = LiveConnections()
    with pytest.raises(UnknownError, match=r"acme/collector@9\.0\.0"):
        set_channel(database, connections, channel("9.0.0"))
    assert (standing(database), journalled(database), connections.woken) == ([], [], [])


def test_a_lower_version_must_be_meant(database: Database) -> None:
    """The refusal names both versions; with the mark it passes and the mark is kept."""
    connections = LiveConnections()
    set_channel(database, connections, channel("1.1.0"))
    with pytest.raises(ConflictError, match=r"at version 1\.1\.0, 1\.0\.0 is lower"):
        set_channel(database, connections, channel("1.0.0"))
    assert (standing(database), len(connections.woken)) == (["1.1.0"], 1)
    set_channel(database, connections, channel("1.0.0", allow=True))
    [found] = deploy.all_channels(database)
    assert (str(found.channel.version), found.channel.allow_downgrade) == ("1.0.0", True)
    assert journalled(database)[-1].detail["before"] == "1.1.0"


def test_the_mark_does_not_outlive_its_deployment(database: Database) -> None:
    """A later deployment without the mark takes it away."""
    connections = LiveConnections()
    set_channel(database, connections, channel("1.0.0", allow=True))
    set_channel(database, connections, channel("1.1.0"))
    assert deploy.all_channels(database)[0].channel.allow_downgrade is False


def test_a_channel_keeps_its_package(database: Database) -> None:
    """Moving it to another package would take the first one from every agent."""
    connections = LiveConnections()
    set_channel(database, connections, channel("1.0.0"))
    with pytest.raises(ConflictError, match="carries acme/collector, not acme/agent"):
        set_channel(database, connections, replace(channel("1.0.0"), package="agent"))


def test_two_channels_for_the_same_agents_are_refused(database: Database) -> None:
    """A tie that no agent's labels could ever decide is refused when it is made."""
    connections = LiveConnections()
    set_channel(database, connections, channel("1.0.0", ring="a"))
    with pytest.raises(ConflictError, match="'stable' ships package 'collector'"):
        set_channel(database, connections, channel("1.1.0", "canary", ring="a"))
    set_channel(database, connections, channel("1.1.0", "canary", ring="b"))


def test_a_version_below_the_floor_is_allowed_and_said(database: Database) -> None:
    """The floor is the publisher's word to agents; the operator is told that they will refuse."""
    done = set_channel(database, LiveConnections(), channel("1.0.0"), floor="1.1.0")
    assert done.notes[-1] == "version 1.0.0 is below the floor 1.1.0: agents will refuse it"


def test_a_removed_channel_is_gone_and_said(database: Database) -> None:
    """Removing wakes the fleet; removing nothing is an error."""
    connections = LiveConnections()
    set_channel(database, connections, channel("1.0.0"))
    deploy.remove_channel(database, connections, "stable", actor="operator:ann", now=NOW)
    assert (standing(database), journalled(database)[-1].kind) == ([], "channel.removed")
    assert len(connections.woken) == 2
    with pytest.raises(UnknownError):
        deploy.remove_channel(database, connections, "stable", actor="operator:ann", now=NOW)


@pytest.fixture
def registry(database: Database) -> Registry:
    found = Registry(database, lambda _agent: {"ring": "a", "site": "x"})
    found.introduce(AGENT)
    return found


def test_labels_are_saved_with_their_entry_and_wake_that_agent(
    database: Database, registry: Registry
) -> None:
    """An operator's labels lie over the token's; one agent is planned again, nobody else."""
    connections = LiveConnections()
    deploy.label_agent(database, connections, registry, AGENT, {"ring": "b"}, actor="operator:ann", now=NOW)
    assert registry.find(AGENT).labels == {"ring": "b", "site": "x"}
    assert connections.woken == [(AGENT,)]
    [entry] = journalled(database)
    assert (entry.kind, entry.subject, entry.detail) == (
        "agent.labelled",
        f"agent:{AGENT}",
        {"labels": {"ring": "b"}},
    )


def test_labels_that_cannot_be_read_again_wake_the_agent_all_the_same(
    database: Database, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are committed, and whoever wakes it reads them first."""

    def away(_: object) -> None:
        raise UnavailableError("database went away after the commit")

    connections = LiveConnections()
    monkeypatch.setattr(registry, "relabel", away)
    deploy.label_agent(database, connections, registry, AGENT, {"ring": "b"}, actor="operator:ann", now=NOW)
    assert connections.woken == [(AGENT,)]


def test_labels_of_a_stranger_leave_no_trace(database: Database, registry: Registry) -> None:
    """What is refused is neither journalled nor pushed."""
    connections, stranger = LiveConnections(), AgentId(uuid.UUID(int=8))
    with pytest.raises(UnknownError):
        deploy.label_agent(
            database, connections, registry, stranger, {"ring": "b"}, actor="operator:ann", now=NOW
        )
    assert (journalled(database), connections.woken) == ([], [])
