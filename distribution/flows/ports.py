"""The seams a flow is given: the clock, and the live connections that stand above the flows."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from keys.certificate import CredentialId
from keys.identity import AgentId

Clock = Callable[[], datetime]
"""Returns the current time, aware UTC."""


class Connections(Protocol):
    """The live connections, as flows see them. Safe to call from any thread."""

    def cut(self, credentials: Iterable[CredentialId], reason: str) -> int:
        """Close at once every connection that one of these let in; return how many there were."""
        ...

    def turns(self, agent: AgentId) -> int:
        """Return how often of late a newer connection of the agent took an older one's place."""
        ...

    def prepare(self) -> None:
        """Have plans decided by what the database says now. Raises: as `Database.read`."""
        ...

    def wake(self, agents: Iterable[AgentId] | None = None) -> None:
        """Have the plans of these agents (all by default) decided again and pushed where they changed.

        For what is committed already: where the database does not answer, it is done once it does.
        """
        ...
