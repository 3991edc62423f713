"""The authority's revoking half without certificates: agents and the serials they hold."""

from datetime import datetime

from keys.certificate import Reason, Revoked, Serial
from keys.errors import RefusedError
from keys.identity import AgentId


class HeldSerials:
    """Implements `distribution.flows.revoke.Revoker`; `asked` tells what was asked of it, in order."""

    def __init__(self, held: dict[AgentId, tuple[Serial, ...]]) -> None:
        self.held = held
        self.asked: list[tuple[str, AgentId, str, bool]] = []

    def revoke(
        self, agent: AgentId, reason: Reason, actor: str, now: datetime, *, ban: bool = False
    ) -> Revoked:
        self.asked.append((reason.value, agent, actor, ban))
        return self._take(agent, reason, now)

    def reset(self, agent: AgentId, actor: str, now: datetime, *, lift_ban: bool = False) -> Revoked:
        self.asked.append(("reset", agent, actor, lift_ban))
        return self._take(agent, Reason.CESSATION_OF_OPERATION, now)

    def _take(self, agent: AgentId, reason: Reason, now: datetime) -> Revoked:
        if agent not in self.held:
            raise RefusedError(f"agent {agent} never enrolled")
        serials = self.held[agent]
        self.held[agent] = ()
        return Revoked(agent, serials, reason, now)
