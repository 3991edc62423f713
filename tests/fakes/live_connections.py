"""The live connections as flows see them, without sockets: who is connected, what was cut, who was woken."""

from collections.abc import Iterable

from keys.certificate import Serial
from keys.identity import AgentId


class LiveConnections:
    """Implements `distribution.flows.ports.Connections` over a count of connections for each serial."""

    def __init__(self, live: dict[Serial, int] | None = None) -> None:
        self.live = live or {}
        self.cuts: list[tuple[tuple[Serial, ...], str]] = []
        self.woken: list[tuple[AgentId, ...] | None] = []

    def cut(self, serials: Iterable[Serial], reason: str) -> int:
        gone = tuple(serials)
        self.cuts.append((gone, reason))
        return sum(self.live.pop(serial, 0) for serial in gone)

    def wake(self, agents: Iterable[AgentId] | None = None) -> None:
        self.woken.append(None if agents is None else tuple(agents))
