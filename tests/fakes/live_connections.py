"""The live connections as flows see them, without sockets: who is connected, what was cut, who was woken."""

from collections.abc import Iterable, Mapping

from keys.certificate import CredentialId
from keys.identity import AgentId


class LiveConnections:
    """Implements `distribution.flows.ports.Connections` over a count of connections for each serial."""

    def __init__(self, live: Mapping[CredentialId, int] | None = None) -> None:
        self.live = dict(live or {})
        self.cuts: list[tuple[tuple[CredentialId, ...], str]] = []
        self.turned: dict[AgentId, int] = {}
        self.woken: list[tuple[AgentId, ...] | None] = []
        self.prepared = 0

    def cut(self, credentials: Iterable[CredentialId], reason: str) -> int:
        gone = tuple(credentials)
        self.cuts.append((gone, reason))
        return sum(self.live.pop(each, 0) for each in gone)

    def turns(self, agent: AgentId) -> int:
        return self.turned.get(agent, 0)

    def prepare(self) -> None:
        self.prepared += 1

    def wake(self, agents: Iterable[AgentId] | None = None) -> None:
        self.woken.append(None if agents is None else tuple(agents))
