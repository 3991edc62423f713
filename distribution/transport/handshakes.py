"""TLS handshakes, a few at a time: that bounds how long the event loop is busy with them in one turn.

Who finds no place waits until it is the turn of its address (`transport.line`); an address whose
handshakes came to nothing waits longer (`transport.arrivals`). Where somebody waits, a handshake whose peer
is slow gives its place up, and sooner where his network holds more places than that of the one who waits.
One that fails is counted, never logged: whoever likes can make as many as he likes.
"""

import asyncio
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from distribution.transport.arrivals import Arrivals, Ticket, network_of
from distribution.transport.greeting import Greeting, Outcome
from distribution.transport.line import Line
from distribution.transport.sealed import SealedTransport
from distribution.transport.turns import Turns

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS: Final = 20.0
"""How long a handshake may take."""

FAIR_SECONDS: Final = 3.0
"""How long a handshake may wait for its peer, all in all, before it gives its place up to somebody."""

GREEDY_SECONDS: Final = 1.0
"""The same for a network that holds many places, and more than that of the one who waits: longer than an
answer takes by satellite."""

DELAYED_MAX: Final = 100
"""Connections of one address that wait because of their address; the next ones are hung up on."""

_LOOK_SECONDS: Final = 0.1
_LATE_SECONDS: Final = 0.5
"""A look so much too late judges nobody: the process stood still, and what came is yet to be read."""

Factory = Callable[[Ticket], asyncio.BaseProtocol]
"""Makes the protocol of a connection; the protocol MUST give the ticket back when the connection ends."""


class Handshakes:
    """The places of one listener. Belongs to the event loop."""

    def __init__(
        self,
        tls: ssl.SSLContext | None,
        factory: Factory,
        places: int,
        arrivals: Arrivals,
        on_place: Callable[[], None],
    ) -> None:
        """`on_place` is called whenever a place became free; without `tls` there is no handshake to make."""
        self._tls = tls
        self._factory = factory
        self._arrivals = arrivals
        self._on_place = on_place
        self._loop = asyncio.get_running_loop()
        self.turns = Turns(self._loop, time.perf_counter)
        """Where the listener's sockets are watched."""
        self._line: Line[tuple[socket.socket, Ticket]] = Line(places, network_of)
        self._delayed: dict[Ticket, tuple[socket.socket, asyncio.TimerHandle]] = {}
        self._delayed_of: Counter[str] = Counter()
        self._begun: dict[Greeting, Ticket] = {}
        self._plain: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None
        self.failed = 0
        """Handshakes that came to nothing, since the start."""

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._line)

    @property
    def under_way(self) -> int:
        """How many places are taken."""
        return len(self._begun)

    @property
    def delayed(self) -> int:
        """How many wait because of their address."""
        return len(self._delayed)

    def take(self, sock: socket.socket, ticket: Ticket) -> None:
        """Have a connection greeted that has sent its first byte; from here on it is taken care of."""
        pause = self._arrivals.wait(ticket.origin)
        if pause > 0 and self._delayed_of[ticket.origin] >= DELAYED_MAX:
            # They would only wait to fill the queue that everybody else stands in.
            self.failed += 1
            hang_up(sock, ticket)
            return
        if pause > 0:
            self._delayed_of[ticket.origin] += 1
            self._delayed[ticket] = sock, self._loop.call_later(pause, self._enqueue_delayed, ticket)
            return
        self._enqueue(sock, ticket)

    def end_slow(self) -> None:
        """Give the places of those that are slow to others that wait, the slowest's first."""
        now = self._loop.time()
        least = min(FAIR_SECONDS, GREEDY_SECONDS)
        slow = [
            (waited, greeting, ticket.origin)
            for greeting, ticket in self._begun.items()
            if (waited := greeting.pace.waited(now)) >= least
        ]
        for waited, greeting, origin in sorted(slow, key=lambda each: each[0], reverse=True):
            heir = self._line.heir(origin)
            if heir is None:
                continue
            greedy = self._line.is_greedy(origin, heir)
            if waited >= (GREEDY_SECONDS if greedy else FAIR_SECONDS) and not greeting.answered:
                self._give_up(greeting)
                self._free(greeting)

    def close(self) -> None:
        """Hang up on all that are not through yet."""
        for sock, ticket in self._line:
            hang_up(sock, ticket)
        self._line.clear()
        for ticket, (sock, timer) in self._delayed.items():
            timer.cancel()
            hang_up(sock, ticket)
        self._delayed.clear()
        self._delayed_of.clear()
        for greeting in self._begun:
            self._give_up(greeting)
        self._begun.clear()
        for task in self._plain:
            task.cancel()
        if self._looking is not None:
            self._looking.cancel()

    def _enqueue_delayed(self, ticket: Ticket) -> None:
        sock, _ = self._delayed.pop(ticket)
        self._delayed_of[ticket.origin] -= 1
        if not self._delayed_of[ticket.origin]:
            del self._delayed_of[ticket.origin]
        self._enqueue(sock, ticket)

    def _enqueue(self, sock: socket.socket, ticket: Ticket) -> None:
        self._line.join(ticket.origin, (sock, ticket))
        self._next()

    def _next(self) -> None:
        while (first := self._line.next()) is not None:
            sock, ticket = first
            ticket.greeted = True
            if self._tls is None:
                self._take_plain(sock, ticket)
                continue
            greeting = Greeting(sock, self._tls, self.turns, self._over)
            self._begun[greeting] = ticket
            greeting.begin(HANDSHAKE_SECONDS)
        if self._looking is None and len(self._line):
            due = self._loop.time() + _LOOK_SECONDS
            self._looking = self._loop.call_later(_LOOK_SECONDS, self._look, due)

    def _over(self, greeting: Greeting, outcome: Outcome) -> None:
        ticket = self._begun[greeting]
        if isinstance(outcome, ssl.SSLSocket):
            self._hand_on(outcome, ticket)
        elif isinstance(outcome, OSError):  # ssl.SSLError and TimeoutError are one
            self._fail(ticket)
        else:
            logger.error("connection could not be taken", exc_info=outcome)
            ticket.give_back()
        self._free(greeting)

    def _hand_on(self, sealed: ssl.SSLSocket, ticket: Ticket) -> None:
        try:
            SealedTransport(sealed, self._factory(ticket), self.turns)
        except OSError:
            sealed.close()
            self._fail(ticket)
        except Exception:
            logger.exception("connection could not be taken")
            hang_up(sealed, ticket)

    def _fail(self, ticket: Ticket) -> None:
        self.failed += 1
        ticket.give_back()

    def _give_up(self, greeting: Greeting) -> None:
        greeting.give_up()
        self._fail(self._begun[greeting])

    def _free(self, greeting: Greeting) -> None:
        """Give a handshake's place to the next one."""
        self._line.leave(self._begun.pop(greeting).origin)
        self._next()
        self._on_place()

    def _take_plain(self, sock: socket.socket, ticket: Ticket) -> None:
        """Hand a connection on to the loop's own transport: that takes no place."""
        self._line.leave(ticket.origin)
        task = self._loop.create_task(self._connect(sock, ticket))
        self._plain.add(task)
        task.add_done_callback(self._plain.discard)

    async def _connect(self, sock: socket.socket, ticket: Ticket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self._factory(ticket), sock)
        except (OSError, asyncio.CancelledError):
            self._fail(ticket)

    def _look(self, due: float) -> None:
        self._looking = None
        if self._loop.time() - due < _LATE_SECONDS:
            self.end_slow()
        self._next()


def hang_up(sock: socket.socket, ticket: Ticket) -> None:
    """Close a connection that was not greeted."""
    sock.close()
    ticket.give_back()
