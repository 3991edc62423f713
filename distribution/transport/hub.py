"""Who is connected, by credential and by agent; cutting and waking them.

Rules:

1. Links live on the event loop. `cut` and `wake` may be called from any thread: they go over to the loop, and
   `cut` comes back only when every connection of these credentials takes and sends nothing any more.
2. A cut link is deaf at once. Telling it why and closing its socket follow, within a second.
3. What touches many links yields to the loop between slices, so that messages are answered meanwhile.
4. Every link is checked again and again: a credential that ended is found on a silent connection too.
5. One credential has `LINKS_MAX` links at most: of more, the oldest is cut. Whoever holds one certificate
   does not hold everybody's places.
6. Of two connections by one credential the newest wins; the older one is cut, and it is counted.
"""

import asyncio
import concurrent.futures
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import islice
from operator import methodcaller
from typing import Final, Protocol, TypeVar

from distribution.transport.owed import Owed
from keys.certificate import CredentialId
from keys.identity import AgentId

CUT_WAIT_SECONDS: Final = 5.0
"""How long `cut` waits for a busy loop before it says so; the cut itself is not given up then."""

CHECK_SECONDS: Final = 15.0
"""How often every link is checked."""

TURNS_SECONDS: Final = 3600.0
"""For how long it is remembered that a newer connection took the place of an older one."""

TURNS_MAX: Final = 50
"""How many of these are counted of one agent."""

LINKS_MAX: Final = 256
"""Links of one credential; not of the agents that a gateway brings, which have their own."""

_TURNING_MAX: Final = 10_000
_SLICE: Final = 50

logger = logging.getLogger(__name__)


class Link(Protocol):
    """One connection, or one polling agent. Every method is called on the loop."""

    credential: CredentialId | None
    """What lets it in; None while nothing does."""
    via: CredentialId | None
    """What lets in the gateway that it comes through, if it does and is not that gateway's own link."""
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
        self._by_credential: dict[CredentialId, list[Link]] = {}
        self._by_agent: dict[AgentId, list[Link]] = {}
        self._held: Counter[CredentialId] = Counter()
        self._turns: dict[AgentId, list[float]] = {}
        self._strangers: dict[Link, None] = {}
        """Links that nothing lets in yet, the oldest first."""
        self._checking: asyncio.TimerHandle | None = None
        self.owed = Owed()
        self.moment: object | None = None
        """While links are woken or checked in a slice, that slice; what is looked at for one is not looked at
        for the next, because nothing else happens on the loop between."""

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
        """Put a link on the list, under the credential and agent that it has now."""
        self._links[link] = None
        if link.credential is None:
            self._strangers[link] = None
            return
        self._by_credential.setdefault(link.credential, []).append(link)
        if link.via is not None:
            self._by_credential.setdefault(link.via, []).append(link)
        if link.agent is not None:
            self._by_agent.setdefault(link.agent, []).append(link)
        self._held[link.credential] += 1
        if self._held[link.credential] > LINKS_MAX:
            self._cut_oldest(link.credential)

    def leave(self, link: Link) -> None:
        """Take a link off the list; it is no error if it is not there."""
        if link not in self._links:
            return
        del self._links[link]
        self._strangers.pop(link, None)
        if link.credential is None:
            return
        _drop(self._by_credential, link.credential, link)
        self._held[link.credential] -= 1
        if not self._held[link.credential]:
            del self._held[link.credential]
        if link.via is not None:
            _drop(self._by_credential, link.via, link)
        if link.agent is not None:
            _drop(self._by_agent, link.agent, link)

    @property
    def strangers(self) -> int:
        """How many links nothing lets in yet."""
        return len(self._strangers)

    def bound_strangers(self, most: int) -> bool:
        """Cut the stranger that has been here for longest if there are more than `most`; say whether."""
        if len(self._strangers) <= most:
            return False
        oldest = next(iter(self._strangers))
        self.leave(oldest)
        oldest.cut("too many others came after it")
        return True

    def is_connected(self, agent: AgentId) -> bool:
        """Whether the agent has a link that talks."""
        return any(link.talks for link in self._by_agent.get(agent, ()))

    def displace(self, newest: Link, reason: str) -> int:
        """Cut the other talking links of this link's credential; return how many there were."""
        if newest.credential is None:
            return 0
        beside = self._by_credential.get(newest.credential, ())
        older = [link for link in beside if link is not newest and link.talks]
        for link in older:
            self.leave(link)
            link.cut(reason)
        if older and newest.agent is not None and self._loop is not None:
            if newest.agent not in self._turns and len(self._turns) >= _TURNING_MAX:
                self._turns.pop(next(iter(self._turns)))
            seen = self._turns.setdefault(newest.agent, [])
            seen.append(self._loop.time())
            del seen[:-TURNS_MAX]
        return len(older)

    def turns(self, agent: AgentId) -> int:
        """Return how often, in `TURNS_SECONDS`, a newer connection of the agent took an older one's place.

        At most `TURNS_MAX`. May be called from any thread.
        """
        seen, loop = self._turns.get(agent), self._loop
        if not seen or loop is None:
            return 0
        since = loop.time() - TURNS_SECONDS
        return sum(moment > since for moment in tuple(seen))

    def cut(self, credentials: Iterable[CredentialId], reason: str) -> int:
        """Close at once every connection that one of these let in; return how many there were.

        Raises:
            TimeoutError: the loop did not get to it in `CUT_WAIT_SECONDS`; it still will.
        """
        gone, loop = tuple(credentials), self._loop
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

    def prepare(self) -> None:
        """Have plans decided by what the database says now. Raises: as `before_wake`."""
        if self._before_wake is not None:
            self._before_wake(())

    def wake(self, agents: Iterable[AgentId] | None = None) -> None:
        """Have the plans of these agents (all by default) decided again and pushed where they changed.

        What led to it is committed, so an error here is none of that: who cannot be woken is owed it.
        """
        chosen = None if agents is None else frozenset(agents)
        try:
            self._wake_now(chosen)
        except Exception:
            self.owed.note(chosen)
            logger.exception("agents are woken later")

    def wake_owed(self) -> None:
        """Wake who is owed it, if anybody is. Raises: as `before_wake`; they are owed it still."""
        self.owed.pay(self._wake_now)

    def _wake_now(self, chosen: AbstractSet[AgentId] | None) -> None:
        if self._before_wake is not None:
            self._before_wake(chosen)
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._wake, chosen)
        except RuntimeError:
            logger.debug("nobody left to wake")

    def _cut_oldest(self, credential: CredentialId) -> None:
        oldest = next(link for link in self._by_credential[credential] if link.credential == credential)
        self.leave(oldest)
        oldest.cut(f"its agent has more than {LINKS_MAX} connections")

    def _cut(self, credentials: tuple[CredentialId, ...], reason: str) -> int:
        links = [link for each in credentials for link in self._by_credential.get(each, ())]
        closed = 0
        for link in links:
            self.leave(link)
            try:
                closed += link.cut(reason)
            except Exception:
                logger.exception("link could not be cut cleanly", extra={"credential": str(link.credential)})
        return closed

    def _wake(self, agents: AbstractSet[AgentId] | None) -> None:
        chosen = (
            list(self._links)
            if agents is None
            else [link for agent in agents for link in self._by_agent.get(agent, ())]
        )
        self._in_slices(iter(chosen), methodcaller("wake"))

    def _check(self) -> None:
        self._in_slices(iter(list(self._links)), methodcaller("check"))
        if self._loop is not None:
            self._checking = self._loop.call_later(CHECK_SECONDS, self._check)

    def _in_slices(self, links: Iterator[Link], act: Callable[[Link], None]) -> None:
        taken, here, self.moment = list(islice(links, _SLICE)), self._links, object()
        for link in taken:
            if link not in here:
                continue  # it left since
            try:
                act(link)
            except Exception:
                logger.exception("link failed", extra={"agent": str(link.agent)})
        self.moment = None
        if len(taken) == _SLICE and self._loop is not None:
            self._loop.call_soon(self._in_slices, links, act)


_Key = TypeVar("_Key")


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
