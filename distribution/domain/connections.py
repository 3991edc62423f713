"""Connection settings as values: where an agent is to send what, and what it says of them.

OpAMP "Connection Settings Management". An offer is always complete: some agents build their settings from the
message alone. The agents' own key never passes through here; the certificate chain of an agent is put in when
its offer is made.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property


class Signal(Enum):
    """Kinds of own telemetry, by their names on the wire."""

    METRICS = "own_metrics"
    TRACES = "own_traces"
    LOGS = "own_logs"


@dataclass(frozen=True, slots=True)
class Destination:
    """One place to connect to. `headers` may carry secrets: never logged, never shown whole."""

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_pem: str = ""
    """PEM certificates that the destination is verified with; empty: the agent's own trust."""
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """`other_settings` of other connections; empty for own telemetry."""
    plain_text_is_meant: bool = False
    """An operator said by name that there is no TLS. Dangerous: headers are readable on the way."""


@dataclass(frozen=True)
class ConnectionSet:
    """All that one agent is to be told of its connections. Equal agents share one value.

    In `telemetry` None is a signal that is to be off, and one that is absent is not spoken of: the agent
    cannot send it, or none of its own telemetry is decided here. `heartbeat_seconds` None leaves the OpAMP
    connection alone. `names` are those of the settings that it came from, by what they decide (`own_metrics`,
    `other <connection>`, `opamp`), and `left_out` says what else was decided, is not told, and why.
    """

    telemetry: Mapping[Signal, Destination | None] = field(default_factory=dict)
    other: Mapping[str, Destination] = field(default_factory=dict)
    heartbeat_seconds: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    left_out: str = ""

    @property
    def origin(self) -> str:
        """The names of the settings that it came from, for operators."""
        return ", ".join(sorted(self.names.values()))

    @cached_property
    def digest(self) -> bytes:
        """32 bytes over everything that is told; see `domain.attempts` for the hash on the wire."""
        told = {
            "telemetry": {signal.value: _plain(target) for signal, target in self.telemetry.items()},
            "other": {name: _plain(target) for name, target in self.other.items()},
            "heartbeat_seconds": self.heartbeat_seconds,
        }
        text = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).digest()


def _plain(target: Destination | None) -> dict[str, object] | None:
    if target is None:
        return None
    return {
        "endpoint": target.endpoint,
        "headers": dict(target.headers),
        "ca_pem": target.ca_pem,
        "settings": dict(target.settings),
        "plain_text": target.plain_text_is_meant,
    }


class ConnectionState(Enum):
    """OpAMP `ConnectionSettingsStatuses`."""

    UNSET = "unset"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """What an agent says of the connection settings that it was offered last (their hash, as offered).

    Of an agent that does not report it, the server keeps that it was offered them: unset.
    """

    state: ConnectionState
    hash: bytes = b""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionOffer:
    """One offer, ready to be said: a set, which try of it, and what its agent connects by.

    `chain_pem` is None where the agent has no certificate of ours; it MUST be there where it has one, because
    an offer without a certificate tells a client to use none. `headers` are those of an agent that shows a
    bearer token, for the same reason.
    """

    settings: ConnectionSet
    attempt: int
    chain_pem: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate for an agent that keeps its own key. `chain_pem` is leaf first."""

    chain_pem: bytes
    heartbeat_seconds: int
    answered_at: datetime
    """When the request was answered, aware UTC."""
    number: int = 0
    """Of the answer. With the time it makes the settings' hash new: agents skip one that they saw, even if
    applying those settings failed."""
