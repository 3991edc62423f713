"""Orders to agents that are not a state to be reached but an act: to restart.

An order lives in memory until it was told once or is too old; a server that restarts forgets it, because an
agent that restarts twice is worse than an operator who asks again. Journalled when it is given.
"""

import itertools
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from distribution.domain.agent import AgentView, Capability, Restart
from distribution.errors import PolicyError
from distribution.flows.ports import Connections
from keys.identity import AgentId
from storage import journal
from storage.database import Database

LIFETIME: Final = timedelta(minutes=10)
"""How long an order waits for its agent: several polls."""


@dataclass(frozen=True, slots=True)
class _Pending:
    order: Restart
    until: datetime


class Commands:
    """The orders that wait. Safe to use from any thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._pending: dict[AgentId, _Pending] = {}

    @property
    def waits(self) -> bool:
        """Whether there may be an order for anybody."""
        return bool(self._pending)

    def give(self, agent: AgentId, now: datetime) -> Restart:
        """Have the agent restart; an order that still waits is replaced."""
        with self._lock:
            order = Restart(next(self._numbers))
            self._pending[agent] = _Pending(order, now + LIFETIME)
            for late in [known for known, pending in self._pending.items() if pending.until <= now]:
                del self._pending[late]
        return order

    def pending(self, agent: AgentId, now: datetime) -> Restart | None:
        """Return the order that waits for this agent."""
        found = self._pending.get(agent)
        return found.order if found is not None and now < found.until else None

    def told(self, agent: AgentId) -> None:
        """Forget the agent's order: it was told."""
        with self._lock:
            self._pending.pop(agent, None)


def restart_agent(
    database: Database,
    commands: Commands,
    connections: Connections,
    view: AgentView,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Order an agent to restart.

    Raises:
        PolicyError: it is not connected, or does not accept the command.
    """
    agent = AgentId(view.uid)
    if not view.connected:
        raise PolicyError(f"agent {agent} is not connected; only a connected agent can be told to restart")
    if Capability.ACCEPTS_RESTART not in view.capabilities:
        raise PolicyError(f"agent {agent} does not say that it accepts the restart command")
    with database.write() as connection:
        journal.append(
            connection,
            kind="agent.restart",
            actor=actor,
            subject=f"agent:{agent}",
            detail={},
            at=now,
        )
    commands.give(agent, now)
    connections.wake([agent])
