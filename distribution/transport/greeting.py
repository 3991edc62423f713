"""The TLS handshake of one connection, as a server, on a socket that does not block.

Each of its steps is a signature, or a chain of certificates to check; that waits for its turn
(`transport.turns`).
"""

import asyncio
import socket
import ssl

from distribution.transport.turns import Turns


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


async def shake_hands(
    sock: socket.socket, context: ssl.SSLContext, seconds: float, turns: Turns, pace: Pace | None = None
) -> ssl.SSLSocket:
    """Return the socket with TLS on it, as a server.

    Args:
        sock: does not block; it is the returned one's from here on, and closed if this fails.
        context: TLS 1.3 only.
        seconds: how long it may take.
        turns: where its steps wait.
        pace: notes how slow the peer is.

    Raises:
        OSError: the handshake failed, ssl.SSLError among them; TimeoutError: it took too long.
    """
    try:
        sock.getpeername()  # who is gone already would be left open by the class
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sealed = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise
    greeting = _Greeting(sealed, turns, pace or Pace())
    try:
        async with asyncio.timeout(seconds):
            await greeting.through
    except BaseException:
        greeting.give_up()
        with turns.runaway.lock:
            sealed.close()
        raise
    return sealed


class _Greeting:
    """Goes on with a handshake as far as it goes, and then waits for the socket."""

    __slots__ = ("_loop", "_pace", "_sealed", "_turns", "through")

    def __init__(self, sealed: ssl.SSLSocket, turns: Turns, pace: Pace) -> None:
        self._loop = asyncio.get_running_loop()
        self._pace = pace
        self._sealed = sealed
        self._turns = turns
        self.through: asyncio.Future[None] = self._loop.create_future()
        turns.later(self._step)

    def give_up(self) -> None:
        """Touch the socket no more."""
        if not self.through.cancel() and not self.through.cancelled():
            self.through.exception()  # nobody else hears of it any more
        self._unwatch()

    def _step(self) -> None:
        if self.through.done():  # given up meanwhile
            return
        try:
            with self._turns.runaway.over(self._sealed.fileno()):
                self._sealed.do_handshake()
        except ssl.SSLWantReadError:
            self._pace.wait(self._loop.time())
            self._turns.on_readable(self._sealed.fileno(), self._ready)
        except ssl.SSLWantWriteError:
            self._pace.wait(self._loop.time())
            self._turns.on_writable(self._sealed.fileno(), self._ready)
        except Exception as exc:  # noqa: BLE001 - whoever waits for it is told
            self.through.set_exception(exc)
        else:
            self.through.set_result(None)

    def _ready(self) -> None:
        self._unwatch()
        self._pace.go_on(self._loop.time())
        self._turns.later(self._step)

    def _unwatch(self) -> None:
        number = self._sealed.fileno()
        self._turns.ignore_readable(number)
        self._turns.ignore_writable(number)
