"""The story of watching: what one agent and this server say to each other, shown as it happens.

Nobody watching costs a look into an empty table. Who watches gets what was said since it last asked; if it
asks too rarely, what did not fit is counted and told, and the agent never waits for it.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from distribution.domain.agent import Report
from distribution.errors import BusyError
from distribution.flows import told
from distribution.flows.ports import Clock
from distribution.protocol.offers import Reply
from keys.identity import AgentId
from storage.journal import JSON

WAITING_MAX: Final = 256
"""Messages that wait for one who watches."""

WATCHING_MAX: Final = 32
"""Who may watch at the same time, all agents together."""

Event = dict[str, JSON]


class Watch:
    """One who watches one agent."""

    def __init__(self, agent: AgentId, notify: Callable[[], None]) -> None:
        """`notify` is called when there is something to take, by whatever thread; it MUST be quick."""
        self.agent = agent
        self._notify = notify
        self._waiting: deque[Event] = deque()
        self._dropped = 0
        self._lock = threading.Lock()

    def take(self) -> list[Event]:
        """Return what was said since the last time, and how much of it did not fit."""
        with self._lock:
            found, dropped = list(self._waiting), self._dropped
            self._waiting.clear()
            self._dropped = 0
        return [*found, {"dropped": dropped}] if dropped else found

    def put(self, event: Event) -> None:
        """Add a message; of too many the later ones are counted only."""
        with self._lock:
            if len(self._waiting) >= WAITING_MAX:
                self._dropped += 1
            else:
                self._waiting.append(event)
        self._notify()


class Watches:
    """All who watch. Safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._by_agent: dict[UUID, tuple[Watch, ...]] = {}
        self.agents: Mapping[UUID, object] = self._by_agent
        """Those that are watched, as it is at any time."""

    def __bool__(self) -> bool:
        """Whether anybody watches anything."""
        return bool(self._by_agent)

    def require_room(self) -> None:
        """Refuse one more who would watch, where there is no room. Raises BusyError."""
        if sum(map(len, self._by_agent.values())) >= WATCHING_MAX:
            raise BusyError(f"{WATCHING_MAX} watch already, no more may")

    def open(self, agent: AgentId, notify: Callable[[], None]) -> Watch:
        """Begin to watch; the caller MUST `close` what it gets.

        Raises:
            BusyError: too many watch already.
        """
        with self._lock:
            self.require_room()
            watch = Watch(agent, notify)
            self._by_agent[agent.uuid] = (*self._by_agent.get(agent.uuid, ()), watch)
        return watch

    def close(self, watch: Watch) -> None:
        """Watch no more."""
        with self._lock:
            others = tuple(one for one in self._by_agent.pop(watch.agent.uuid, ()) if one is not watch)
            if others:
                self._by_agent[watch.agent.uuid] = others

    def heard(self, transport: str, agent: UUID, report: Report, reply: Reply) -> None:
        """Show a message and its answer to those who watch its agent, whatever that calls itself in it."""
        own: Event = {} if report.uid == agent else {"calls_itself": str(report.uid)}
        for watch in self._by_agent.get(agent, ()):
            watch.put(self._event(transport, "from agent", {**told.came(report), **own}))
            watch.put(self._event(transport, "to agent", told.went(reply)))

    def sent(self, transport: str, agent: AgentId | None, reply: Reply) -> None:
        """Show what was said unasked, or later than it was asked for."""
        for watch in () if agent is None else self._by_agent.get(agent.uuid, ()):
            watch.put(self._event(transport, "to agent", told.went(reply)))

    def ended(self, transport: str, agent: AgentId | None, reply: Reply | None, close: str) -> None:
        """Show what an agent was told at the end of a connection: an error, the reason it is closed for."""
        said = {**({} if reply is None else told.went(reply)), **({"close": close} if close else {})}
        for watch in () if agent is None else self._by_agent.get(agent.uuid, ()):
            watch.put(self._event(transport, "to agent", dict(said)))

    def refused(self, transport: str, agent: AgentId | None, error: Exception) -> None:
        """Show that a message, or a connection, was not taken."""
        for watch in () if agent is None else self._by_agent.get(agent.uuid, ()):
            watch.put(self._event(transport, "refused", {"reason": str(error)}))

    def _event(self, transport: str, direction: str, said: Event) -> Event:
        return {"at": f"{self._clock():%FT%TZ}", "transport": transport, "direction": direction, "said": said}
