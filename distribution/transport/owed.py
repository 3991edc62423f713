"""Who is to be woken, and could not be when it was due."""

import threading
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

from keys.identity import AgentId


class Owed:
    """Agents that are owed a wake-up. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._some: set[AgentId] = set()
        self._all = False

    def __bool__(self) -> bool:
        return self._all or bool(self._some)

    def note(self, agents: Iterable[AgentId] | None) -> None:
        """Note these agents, or, by None, all that there are."""
        with self._lock:
            self._all = self._all or agents is None
            self._some.update(agents or ())

    def pay(self, wake: Callable[[AbstractSet[AgentId] | None], None]) -> None:
        """Have them woken as they were noted, if anybody was. Raises: as `wake`; they are owed it still."""
        with self._lock:
            everybody, some = self._all, frozenset(self._some)
            self._all, self._some = False, set()
        if not everybody and not some:
            return
        try:
            wake(None if everybody else some)
        except BaseException:
            self.note(None if everybody else some)
            raise
