"""The story of a deployment: an operator points a channel at a signed release, and the fleet follows.

Step 1  the release must be in the catalogue, which holds only what verifies from the root.
Step 2  the channel keeps its package; a lower version than its present one needs to be meant.
Step 3  row and journal entry are one transaction.
Step 4  the agents' plans are decided again; nobody waits for a heartbeat.

Labels are the other half: which channels an agent follows. An operator's labels lie over its token's.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from distribution.domain.assignment import Channel
from distribution.domain.package import Release, Version
from distribution.domain.states import require_state, state_of
from distribution.errors import ConflictError
from distribution.fleet import agents, channels
from distribution.fleet.channels import SetChannel
from distribution.fleet.registry import Registry
from distribution.flows.ports import Connections
from keys.identity import AgentId
from storage import journal
from storage.database import Database
from storage.errors import StorageError

Find = Callable[[str, str, Version], Release]
"""Returns the verified release; raises UnknownError where the catalogue has none."""

Floor = Callable[[str, str], Version | None]
"""Returns the floor that a publisher's guard sets for a package, if it sets one."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A channel as it now stands, and what an operator should know about it."""

    channel: Channel
    notes: tuple[str, ...]


def set_channel(
    database: Database,
    connections: Connections,
    channel: Channel,
    *,
    find: Find,
    floor: Floor,
    actor: str,
    now: datetime,
    at_state: str | None = None,
) -> Deployed:
    """Point a channel at a release.

    Raises:
        UnknownError: the catalogue has no such release.
        ConflictError: the channel carries another package, or a higher version and `allow_downgrade` is not
            set, or another channel of the package has the same selector, or it is at another state than
            `at_state`, which its caller saw.
    """
    # Step 1: only what verifies can be pointed at.
    release = find(channel.publisher, channel.package, channel.version)
    with database.write() as connection:
        # Step 2: the channel's own past, and its rivals.
        before = channels.find(connection, channel.name)
        _require_state(before, channel.name, at_state)
        if before is not None:
            _require_same_package(before.channel, channel)
            _require_not_lower(before.channel, channel)
        for other in channels.every(connection):
            _require_not_tied(other.channel, channel)
        # Step 3: row and entry stand or fall together.
        channels.put(connection, channel, actor=actor, now=now)
        journal.append(
            connection,
            kind="channel.set",
            actor=actor,
            subject=f"channel:{channel.name}",
            detail=_detail(channel, before),
            at=now,
        )
    # Step 4: the fleet hears of it now.
    connections.wake()
    return Deployed(channel, _notes(channel, release, floor))


def remove_channel(
    database: Database,
    connections: Connections,
    name: str,
    *,
    actor: str,
    now: datetime,
    at_state: str | None = None,
) -> Channel:
    """Delete a channel; agents that followed it are offered what the others say.

    Where none is left to an agent, nothing is said to it and it keeps what it holds.

    Raises:
        UnknownError: there is no such channel. ConflictError: it is at another state than `at_state`.
    """
    with database.write() as connection:
        present = channels.remove(connection, name)
        _require_state(present, name, at_state)
        removed = present.channel
        journal.append(
            connection,
            kind="channel.removed",
            actor=actor,
            subject=f"channel:{name}",
            detail={"package": _package(removed), "version": str(removed.version)},
            at=now,
        )
    connections.wake()
    return removed


def all_channels(database: Database) -> tuple[SetChannel, ...]:
    """Return the channels in the order of their names."""
    with database.read() as connection:
        return channels.every(connection)


def label_agent(
    database: Database,
    connections: Connections,
    registry: Registry,
    agent: AgentId,
    labels: Mapping[str, str],
    *,
    actor: str,
    now: datetime,
    at_state: str | None = None,
) -> None:
    """Replace an agent's operator-given labels; it is planned again at once.

    Raises:
        UnknownError: no such agent. InvalidError: too many labels, or one that is too long or empty.
        ConflictError: those that operators gave it are at another state than `at_state`.
    """
    with database.write() as connection:
        present = agents.labels_of(connection, [agent]).get(agent.uuid)
        if present is not None:
            said = ", ".join(f"{name}={value}" for name, value in sorted(present.items()))
            what = f"what operators labelled agent {agent} with"
            require_state(what, at_state, labels_state(present), said or "nothing")
        registry.set_labels(connection, agent, labels)
        journal.append(
            connection,
            kind="agent.labelled",
            actor=actor,
            subject=f"agent:{agent}",
            detail={"labels": dict(labels)},
            at=now,
        )
    with suppress(StorageError):  # they are read again before it is woken, which it is owed then
        registry.relabel([agent])
    connections.wake([agent])


def labels_state(labels: Mapping[str, str]) -> str:
    """Return the state of what operators labelled an agent with."""
    return state_of("labels", dict(labels))


def _require_state(present: SetChannel | None, name: str, expected: str | None) -> None:
    require_state(f"channel {name!r}", expected, None if present is None else present.state, str(present))


def _require_same_package(before: Channel, wanted: Channel) -> None:
    if _package(before) != _package(wanted):
        raise ConflictError(
            f"channel {wanted.name!r} carries {_package(before)}, not {_package(wanted)}; "
            "remove it first if that is meant"
        )


def _require_not_lower(before: Channel, wanted: Channel) -> None:
    if wanted.version < before.version and not wanted.allow_downgrade:
        raise ConflictError(
            f"channel {wanted.name!r} is at version {before.version}, {wanted.version} is lower; "
            "allow_downgrade says that this is meant"
        )


def _require_not_tied(other: Channel, wanted: Channel) -> None:
    """Refuse what `domain.assignment` could never decide: two channels of one package for the same agents."""
    same = other.package == wanted.package and dict(other.selector) == dict(wanted.selector)
    if other.name != wanted.name and same:
        raise ConflictError(
            f"channel {other.name!r} ships package {wanted.package!r} to the same agents as {wanted.name!r}"
        )


def _notes(channel: Channel, release: Release, floor: Floor) -> tuple[str, ...]:
    lowest = floor(channel.publisher, channel.package)
    platforms = f"release {_package(channel)}@{channel.version} has files for {', '.join(release.artifacts)}"
    if lowest is None or channel.version >= lowest:
        return (platforms,)
    return (platforms, f"version {channel.version} is below the floor {lowest}: agents will refuse it")


def _detail(channel: Channel, before: SetChannel | None) -> dict[str, journal.JSON]:
    return {
        "package": _package(channel),
        "version": str(channel.version),
        "before": None if before is None else str(before.channel.version),
        "allow_downgrade": channel.allow_downgrade,
        "selector": dict(channel.selector),
    }


def _package(channel: Channel) -> str:
    return f"{channel.publisher}/{channel.package}"
