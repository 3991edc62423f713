"""An examiner that can be held up, as by a large report or a busy machine."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from distribution.domain.configuration import ConfigObject, EffectiveSeen, RemoteConfig
from distribution.flows.orders import Examiner
from keys.identity import AgentId

WAIT_SECONDS = 20.0


class Paused:
    """Implements `distribution.flows.orders.Examiner` by another one, when it may."""

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner
        self._free = threading.Event()
        self._free.set()
        self.reached = threading.Event()
        """Whether an examination is waited with, or was."""

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Examine nothing until the block ends."""
        self.reached.clear()
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def examine(
        self,
        agent: AgentId,
        effective: Mapping[str, ConfigObject],
        intended: RemoteConfig | None,
        now: datetime,
    ) -> EffectiveSeen:
        self.reached.set()
        if not self._free.wait(WAIT_SECONDS):
            raise TimeoutError(f"examination was held up for {WAIT_SECONDS} s")
        return self._examiner.examine(agent, effective, intended, now)

    def again(self, agent: AgentId, intended: RemoteConfig, now: datetime) -> EffectiveSeen | None:
        return self._examiner.again(agent, intended, now)
