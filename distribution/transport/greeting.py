"""The TLS handshake of one connection, as a server, on a socket that does not block.

Each of its steps is a signature, or a chain of certificates to check; that waits for its turn
(`transport.turns`). There is no task in it: a fleet that comes back makes thousands of them.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable

from distribution.transport.runaway import NOBODY
from distribution.transport.turns import Turns

Outcome = ssl.SSLSocket | Exception
"""The socket with TLS on it, or why there is none: an OSError, ssl.SSLError and TimeoutError among them."""


class Pace:
    """How long a handshake has waited for its peer so far; the time that we take is not in it."""

    __slots__ = ("_since", "_waited")

    def __init__(self) -> None:
        self._waited = 0.0
        self._since: float | None = None

    def wait(self, now: float) -> None:
        """It is the peer's turn."""
        self._since = now

    def go_on(self, now: float) -> None:
        """The peer has said something."""
        self._waited, self._since = self.waited(now), None

    def waited(self, now: float) -> float:
        """Return how long it was, all in all: who sends a byte now and then is slow too."""
        return self._waited + (0.0 if self._since is None else now - self._since)


class Greeting:
    """Goes on with a handshake as far as it goes, and then waits for the socket."""

    __slots__ = ("_context", "_deadline", "_loop", "_number", "_sealed", "_sock", "_then", "_turns", "pace")

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        turns: Turns,
        then: "Callable[[Greeting, Outcome], None]",
    ) -> None:
        """`sock` does not block, and is this one's from here on; it is closed if the handshake fails.

        `context` has TLS 1.3 only; `turns` is where the steps wait; `then` is told the outcome, once, and not
        within a call of ours; of what is given up it hears nothing.
        """
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._number = sock.fileno()
        self._context = context
        self._turns = turns
        self._then: Callable[[Greeting, Outcome], None] | None = then
        self._sealed: ssl.SSLSocket | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.pace = Pace()
        """Notes how slow the peer is."""

    def begin(self, seconds: float) -> None:
        """Take the first step in a turn to come; it is over after so many seconds at the latest."""
        self._deadline = self._loop.call_later(seconds, self._too_late)
        self._turns.later(self._step)

    def give_up(self) -> None:
        """Close the socket; nothing is told any more. The second time nothing happens."""
        if self._then is not None:
            self._leave()
            with self._turns.runaway.lock:
                (self._sealed or self._sock).close()

    @property
    def answered(self) -> bool:
        """Whether the peer has said something that is yet to be read: it is our turn, not his."""
        try:
            return bool(socket.socket.recv(self._sealed or self._sock, 1, socket.MSG_PEEK))
        except OSError:  # nothing is there, or he is gone
            return False

    def _step(self) -> None:
        then = self._then
        if then is None:  # given up meanwhile
            return
        runaway = self._turns.runaway
        try:
            sealed = self._sealed or self._wrap()
            runaway.start()
            runaway.looks += 1
            runaway.reading = self._number
            sealed._sslobj.do_handshake()  # type: ignore[attr-defined] # noqa: SLF001 - as in `sealed`
        except ssl.SSLWantReadError:
            runaway.reading = NOBODY
            self.pace.wait(self._loop.time())
            self._turns.on_readable(self._number, self._ready)
        except ssl.SSLWantWriteError:
            runaway.reading = NOBODY
            self.pace.wait(self._loop.time())
            self._turns.on_writable(self._number, self._ready)
        except Exception as exc:  # noqa: BLE001 - whoever waits for it is told
            runaway.reading = NOBODY
            self._fail(exc)
        else:
            runaway.reading = NOBODY
            self._leave()
            then(self, sealed)

    def _wrap(self) -> ssl.SSLSocket:
        self._sock.getpeername()  # who is gone already would be left open by the class
        self._sealed = self._context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
        return self._sealed

    def _ready(self) -> None:
        self._unwatch()
        self.pace.go_on(self._loop.time())
        self._turns.later(self._step)

    def _too_late(self) -> None:
        self._fail(TimeoutError("the handshake took too long"))

    def _fail(self, exc: Exception) -> None:
        then = self._then
        self.give_up()
        if then is not None:
            then(self, exc)

    def _leave(self) -> None:
        """Touch the socket no more."""
        self._then = None
        if self._deadline is not None:
            self._deadline.cancel()
        self._unwatch()

    def _unwatch(self) -> None:
        self._turns.ignore_readable(self._number)
        self._turns.ignore_writable(self._number)
