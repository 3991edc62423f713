"""Who is connected, by serial and by agent; cutting and waking them.

Rules:

1. Links live on the event loop. `cut` and `wake` may be called from any thread: they go over to the loop, and
   `cut` comes back only when every connection of these serials takes and sends nothing any more.
2. A cut link is deaf at once. Telling it why and closing its socket follow, within a second.
3. What touches many links yields to the loop between slices, so that messages are answered meanwhile.
4. Every link is checked again and again: a credential that ended is found on a silent connection too.
"""

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, Protocol, TypeVar

from keys.certificate import Serial
from keys.identity import AgentId

CUT_WAIT_SECONDS: Final = 5.0
"""How long `cut` waits for a busy loop before it says so; the cut itself is not given up then."""

CHECK_SECONDS: Final = 15.0
"""How often every link is checked."""

_SLICE: Final = 200

logger = logging.getLogger(__name__)


class Link(Protocol):
    """One connection, or one polling agent. Every method is called on the loop."""

    serial: Serial | None
    """Of the client certificate; None while there is none."""
    agent: AgentId | None
    talks: bool
    """Whether an agent is connected by it; a socket between two requests is only there to be cut."""

    def cut(self, reason: str) -> int:
        """Become deaf and close; return how many sockets that closes."""
        ...

    def wake(self) -> None:
        """Have the plan decided again, and push what changed."""
        ...

    def check(self) -> None:
        """Close what is over: a credential's life, a deadline."""
        ...


class Hub:
    """The live links. Implements `distribution.flows.ports.Connections`."""

    def __init__(self, before_wake: Callable[[Iterable[AgentId] | None], None] | None = None) -> None:
        """`before_wake` runs in the thread that wakes, before any plan is decided again."""
        self._before_wake = before_wake
        self._loop: asyncio.AbstractEventLoop | None = None
        self._links: dict[Link, None] = {}
        self._by_serial: dict[Serial, list[Link]] = {}
        self._by_agent: dict[AgentId, list[Link]] = {}
        self.strangers = 0
        """Links without a certificate."""
        self._checking: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to this loop. MUST be called on it, before the first link joins."""
        self._loop = loop
        self._checking = loop.call_later(CHECK_SECONDS, self._check)

    def stop(self) -> None:
        """Check no more."""
        if self._checking is not None:
            self._checking.cancel()
            self._checking = None
        self._loop = None

    def __len__(self) -> int:
        return len(self._links)

    def join(self, link: Link) -> None:
        """Put a link on the list, under the serial and agent that it has now."""
        self._links[link] = None
        if link.serial is None:
            self.strangers += 1
            return
        self._by_serial.setdefault(link.serial, []).append(link)
        if link.agent is not None:
            self._by_agent.setdefault(link.agent, []).append(link)

    def leave(self, link: Link) -> None:
        """Take a link off the list; it is no error if it is not there."""
        if link not in self._links:
            return
        del self._links[link]
        if link.serial is None:
            self.strangers -= 1
            return
        _drop(self._by_serial, link.serial, link)
        if link.agent is not None:
            _drop(self._by_agent, link.agent, link)

    def is_connected(self, agent: AgentId) -> bool:
        """Whether the agent has a link that talks."""
        return any(link.talks for link in self._by_agent.get(agent, ()))

    def cut(self, serials: Iterable[Serial], reason: str) -> int:
        """Close at once every connection that presented one of these serials; return how many there were.

        Raises:
            TimeoutError: the loop did not get to it in `CUT_WAIT_SECONDS`; it still will.
        """
        gone, loop = tuple(serials), self._loop
        if loop is None or not gone:
            return 0
        if _running() is loop:
            return self._cut(gone, reason)
        done: concurrent.futures.Future[int] = concurrent.futures.Future()

        def run() -> None:
            done.set_result(self._cut(gone, reason))

        try:
            loop.call_soon_threadsafe(run)
        except RuntimeError:  # the loop is closed, and every socket with it
            return 0
        return done.result(CUT_WAIT_SECONDS)

    def wake(self, agents: Iterable[AgentId] | None = None) -> None:
        """Have the plans of these agents (all by default) decided again and pushed where they changed."""
        chosen = None if agents is None else frozenset(agents)
        if self._before_wake is not None:
            self._before_wake(chosen)
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._wake, chosen)
        except RuntimeError:
            logger.debug("nobody left to wake")

    def _cut(self, serials: tuple[Serial, ...], reason: str) -> int:
        links = [link for serial in serials for link in self._by_serial.get(serial, ())]
        closed = 0
        for link in links:
            self.leave(link)
            try:
                closed += link.cut(reason)
            except Exception:
                logger.exception("link could not be cut cleanly", extra={"serial": str(link.serial)})
        return closed

    def _wake(self, agents: frozenset[AgentId] | None) -> None:
        chosen = (
            list(self._links)
            if agents is None
            else [link for agent in agents for link in self._by_agent.get(agent, ())]
        )
        self._in_slices(iter(chosen), lambda link: link.wake())

    def _check(self) -> None:
        self._in_slices(iter(list(self._links)), lambda link: link.check())
        if self._loop is not None:
            self._checking = self._loop.call_later(CHECK_SECONDS, self._check)

    def _in_slices(self, links: Iterator[Link], act: Callable[[Link], None]) -> None:
        taken = list(islice(links, _SLICE))
        for link in taken:
            if link not in self._links:
                continue  # it left since
            try:
                act(link)
            except Exception:
                logger.exception("link failed", extra={"agent": str(link.agent)})
        if len(taken) == _SLICE and self._loop is not None:
            self._loop.call_soon(self._in_slices, links, act)


_Key = TypeVar("_Key", Serial, AgentId)


def _drop(index: dict[_Key, list[Link]], key: _Key, link: Link) -> None:
    beside = [other for other in index.get(key, ()) if other is not link]
    if beside:
        index[key] = beside
    else:
        index.pop(key, None)


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
