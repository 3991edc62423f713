"""What the operators' API stands on: values and parts, handed over once by whoever composes the server."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from distribution.fleet.registry import Registry
from distribution.flows.catalogues import Catalogues
from distribution.flows.commands import Commands
from distribution.flows.commits import Commits
from distribution.flows.configuration.board import ConfigBoard
from distribution.flows.configuration.versions import Parts
from distribution.flows.connections import ConnectionBoard
from distribution.flows.exchange import Exchange
from distribution.flows.grant import Granting
from distribution.flows.ports import Clock, Connections
from distribution.flows.pulse import Pulse
from distribution.flows.revoke import Revoker, Stopwatch
from distribution.flows.watch import Watches
from keys.admission import Admission
from keys.identity import AgentId
from keys.known_tokens import KnownTokens
from keys.sealing import Seal
from keys.trust import Trust
from storage.database import Database
from storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask at most; sizes in bytes."""

    upload_max_bytes: int
    uploads_at_once: int
    role_max_bytes: int
    body_max_bytes: int


@dataclass(frozen=True, slots=True)
class Randomness:
    """Where new names and secrets come from."""

    token_id: Callable[[], str]
    """Lower-case letters, digits and hyphens; unique."""
    secret: Callable[[], str]
    """At least 32 random bytes as URL-safe text."""
    salt: Callable[[], bytes]
    """At least 16 random bytes."""
    uid: Callable[[], AgentId]
    """An instance uid that nobody has."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must work before this server is of use; `run` raises where it does not."""

    name: str
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class OperatorServices:
    """Everything the operators' API needs."""

    database: Database
    store: ObjectStore
    commits: Commits
    catalogues: Catalogues
    authority: Revoker
    granting: Granting
    admission: Admission
    known_tokens: KnownTokens
    connections: Connections
    registry: Registry
    exchange: Exchange
    """Of the agents' listener; asked where a conversation stands, never moved."""
    watches: Watches
    commands: Commands
    trust: Trust
    limits: Limits
    randomness: Randomness
    clock: Clock
    stopwatch: Stopwatch
    checks: tuple[Check, ...]
    """What `/readyz` asks."""
    seal: Seal
    """Seals secrets of connection settings."""
    connection_board: ConnectionBoard
    config_board: ConfigBoard
    configurations: Parts
    """What configurations are kept in and judged by."""
    pulse: Pulse
    """Whether the database answers."""
    metrics: CollectorRegistry
    """What `/metrics` shows; this API adds its own to it."""
