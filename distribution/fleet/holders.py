"""Which holder of its uid an agent is. After a reset it is another's, and what the former one said is void.

What a message leads to may be done long after it was heard. So it carries the number of the holder whose it
is: it is written only while that one holds the uid, and a reset waits for what is being written of him.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from distribution.errors import ConflictError
from keys.errors import NotAdmittedError
from keys.identity import AgentId


class Holders:
    """How often each uid was reset since the start. Thread-safe; `number` and `end` never wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers: dict[UUID, int] = {}
        self._writing: set[UUID] = set()

    def number(self, agent: AgentId) -> int:
        """Return the number of the present holder, 0 for the first one."""
        return self._numbers.get(agent.uuid, 0)

    def end(self, agent: AgentId) -> None:
        """The next one is another; of the present one no write begins any more."""
        with self._changed:
            self._numbers[agent.uuid] = self.number(agent) + 1

    def require(self, agent: AgentId, number: int) -> None:
        """Check that this one holds the uid. Never waits.

        Raises:
            NotAdmittedError: it was reset, perhaps right before he came: he is heard if he comes again.
        """
        if self._numbers and self.number(agent) != number:
            raise NotAdmittedError(f"agent {agent} was reset meanwhile; connect again")

    def settle(self, agent: AgentId) -> None:
        """Wait for what is being written of holders that ended."""
        with self._changed:
            self._changed.wait_for(lambda: agent.uuid not in self._writing)

    @contextmanager
    def held(self, agent: AgentId, number: int) -> Iterator[None]:
        """Write in the block what this one said; not in two threads for one agent.

        Raises:
            ConflictError: he does not hold the uid any more.
        """
        with self._changed:
            if self.number(agent) != number:
                raise ConflictError(f"agent {agent} was reset: what its holder {number} said is void")
            self._writing.add(agent.uuid)
        try:
            yield
        finally:
            with self._changed:
                self._writing.discard(agent.uuid)
                self._changed.notify_all()
