"""Which connection settings an agent is to have: by the labels that it was given, and by what it can do.

Rules:

1. Labels only. What an agent says of itself plays no part: headers carry secrets, and an agent could ask for
   another one's by describing itself as that.
2. Of several settings for one place (a signal, a named connection, the OpAMP connection) the one with more
   matching labels wins; a tie is refused, by both names.
3. Only what the agent's capabilities allow (OpAMP "Connection Settings Management"). Where one signal of own
   telemetry is decided, every signal that the agent can send is said: some agents build their settings from
   the message alone, others keep what is not said.
4. An agent behind a gateway is told nothing of its OpAMP connection, which leads to the gateway; of all the
   rest it is.
5. Nor is one that has no certificate and reports no status of its settings: a known client of that kind reads
   an offer without a certificate as leave to verify no server, and would show its token to anybody.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from uuid import UUID

from distribution.domain.agent import Capability
from distribution.domain.connections import ConnectionSet, Destination, Signal
from distribution.errors import InvalidError, PolicyError

HEARTBEAT_MOST: Final = 3600
"""Longest heartbeat that may be set, in seconds."""

CONNECTION_NAME_MAX: Final = 200


class Kind(Enum):
    """What a setting is for."""

    OPAMP = "opamp"
    METRICS = Signal.METRICS.value
    TRACES = Signal.TRACES.value
    LOGS = Signal.LOGS.value
    OTHER = "other"


SIGNALS: Final = {Kind(signal.value): signal for signal in Signal}

_NEEDED: Final = {
    Signal.METRICS: Capability.REPORTS_OWN_METRICS,
    Signal.TRACES: Capability.REPORTS_OWN_TRACES,
    Signal.LOGS: Capability.REPORTS_OWN_LOGS,
}

_OPAMP: Final = Kind.OPAMP.value

_SPELLED: Final = {
    Capability.REPORTS_OWN_METRICS: "ReportsOwnMetrics",
    Capability.REPORTS_OWN_TRACES: "ReportsOwnTraces",
    Capability.REPORTS_OWN_LOGS: "ReportsOwnLogs",
    Capability.ACCEPTS_CONNECTION_SETTINGS: "AcceptsOpAMPConnectionSettings",
    Capability.ACCEPTS_OTHER_CONNECTIONS: "AcceptsOtherConnectionSettings",
}
"""OpAMP's names, by which an agent's makers know them."""

_BEHIND: Final = (
    "nothing is told of its OpAMP connection: it is behind gateway {}, its connection leads there, and the "
    "certificate is the gateway's"
)
_BARE: Final = (
    "nothing is told of its OpAMP connection: it has no certificate and reports no status of connection "
    "settings, and a known client of that kind would verify no server any more"
)

BEARING: Final = (
    Capability.ACCEPTS_CONNECTION_SETTINGS
    | Capability.REPORTS_CONNECTION_STATUS
    | Capability.ACCEPTS_OTHER_CONNECTIONS
    | Capability.REPORTS_OWN_METRICS
    | Capability.REPORTS_OWN_TRACES
    | Capability.REPORTS_OWN_LOGS
)
"""The capabilities that `permitted` looks at."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One named setting, for the agents that carry every label of `selector`.

    `destination` None turns a signal off. `connection` is the name of another connection, as the agent knows
    it. `heartbeat_seconds` belongs to the OpAMP connection, whose other parts are the server's own to say.
    """

    name: str
    kind: Kind
    selector: Mapping[str, str] = field(default_factory=dict)
    destination: Destination | None = None
    connection: str = ""
    heartbeat_seconds: int | None = None

    def __post_init__(self) -> None:
        """Refuse what does not fit together. Raises InvalidError naming the setting and the field."""
        other, opamp = self.kind is Kind.OTHER, self.kind is Kind.OPAMP
        if opamp is (self.heartbeat_seconds is None):
            self._refuse("heartbeat_seconds", "belongs to kind opamp, and that needs it")
        if opamp and not 1 <= (self.heartbeat_seconds or 0) <= HEARTBEAT_MOST:
            self._refuse("heartbeat_seconds", f"is {self.heartbeat_seconds}, expected 1 to {HEARTBEAT_MOST}")
        if opamp and self.destination is not None:
            self._refuse("endpoint", "of kind opamp is the server's own and cannot be set")
        if other is (not self.connection):
            self._refuse("connection", "belongs to kind other, and that needs it")
        if len(self.connection) > CONNECTION_NAME_MAX or not self.connection.isprintable():
            self._refuse("connection", f"is not at most {CONNECTION_NAME_MAX} printable characters")
        if other and self.destination is None:
            self._refuse("endpoint", "is missing; another connection cannot be turned off")
        if not other and self.destination is not None and self.destination.settings:
            self._refuse("settings", "belong to kind other")

    @property
    def place(self) -> str:
        """What it decides; of all settings for one place an agent gets one."""
        return f"{self.kind.value} {self.connection}" if self.connection else self.kind.value

    def applies_to(self, labels: Mapping[str, str]) -> bool:
        """Say whether an agent with these labels gets this setting."""
        return all(labels.get(name) == value for name, value in self.selector.items())

    def _refuse(self, what: str, why: str) -> None:
        raise InvalidError(f"connection setting {self.name!r}: {what} {why}")


def chosen(labels: Mapping[str, str], settings: Iterable[Setting]) -> ConnectionSet | None:
    """Return what applies to an agent with these labels, whatever it can do; None if nothing does.

    Raises:
        PolicyError: two settings tie for a place.
    """
    by_place: dict[str, list[Setting]] = {}
    for setting in settings:
        if setting.applies_to(labels):
            by_place.setdefault(setting.place, []).append(setting)
    if not by_place:
        return None
    found = [_most_specific(by_place[place]) for place in sorted(by_place)]
    return ConnectionSet(
        telemetry={SIGNALS[one.kind]: one.destination for one in found if one.kind in SIGNALS},
        other={one.connection: one.destination for one in found if one.destination and one.connection},
        heartbeat_seconds=next((one.heartbeat_seconds for one in found if one.kind is Kind.OPAMP), None),
        names={one.place: one.name for one in found},
    )


def permitted(
    settings: ConnectionSet, capabilities: Capability, gateway: UUID | None = None, *, certified: bool
) -> ConnectionSet:
    """Return the part of `settings` that an agent may be offered, complete, and what is left out of it.

    Args:
        settings: what applies to its labels.
        capabilities: what it can do.
        gateway: who speaks for it, None if it speaks for itself.
        certified: whether it holds a certificate of ours.

    Raises:
        PolicyError: nothing of the settings is for it; it says why of each.
    """
    able = [signal for signal in Signal if _NEEDED[signal] in capabilities]
    decided = any(signal in settings.telemetry for signal in able)
    telemetry = {signal: settings.telemetry.get(signal) for signal in able} if decided else {}
    lacking = {place: need for place, need in _needs(settings) if need not in capabilities}
    other = settings.other if Capability.ACCEPTS_OTHER_CONNECTIONS in capabilities else {}
    heartbeat = None if _OPAMP in lacking else settings.heartbeat_seconds
    left_out = [
        f"{settings.names.get(place, place)} ({place}) is not told, as it does not have the capability "
        f"{_SPELLED[need]}"
        for place, need in lacking.items()
    ]
    withheld = "" if heartbeat is None else _withheld(capabilities, gateway, certified=certified)
    if withheld:
        heartbeat = None
        left_out.append(withheld)
    said = "; ".join(left_out)
    if not telemetry and not other and heartbeat is None:
        raise PolicyError(f"nothing of the connection settings for it ({settings.origin}) is told: {said}")
    untold = {*lacking, *([_OPAMP] if withheld else [])}
    names = {place: name for place, name in settings.names.items() if place not in untold}
    return ConnectionSet(telemetry, other, heartbeat, names, said)


def _needs(settings: ConnectionSet) -> Iterator[tuple[str, Capability]]:
    """Yield what is decided, by its place, and the capability that an agent needs to be told of it."""
    yield from ((signal.value, _NEEDED[signal]) for signal in settings.telemetry)
    for connection in settings.other:
        yield f"{Kind.OTHER.value} {connection}", Capability.ACCEPTS_OTHER_CONNECTIONS
    if settings.heartbeat_seconds is not None:
        yield _OPAMP, Capability.ACCEPTS_CONNECTION_SETTINGS


def _withheld(capabilities: Capability, gateway: UUID | None, *, certified: bool) -> str:
    """Say why an agent is told nothing of its OpAMP connection though it could take it, if that is so."""
    if gateway is not None:
        return _BEHIND.format(gateway)
    if not certified and Capability.REPORTS_CONNECTION_STATUS not in capabilities:
        return _BARE
    return ""


def _most_specific(rivals: list[Setting]) -> Setting:
    most = max(len(setting.selector) for setting in rivals)
    best = sorted(
        (setting for setting in rivals if len(setting.selector) == most), key=lambda setting: setting.name
    )
    if len(best) > 1:
        raise PolicyError(
            f"connection settings {best[0].name!r} and {best[1].name!r} both decide {best[0].place} "
            f"by {most} matching labels"
        )
    return best[0]
