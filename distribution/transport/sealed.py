"""TLS straight on a socket: what comes is opened into the protocol's own buffer, what goes is sealed at once.

The loops' own TLS goes through two memory buffers and an exception for each message; that cost more than to
answer it. Here OpenSSL reads and writes the socket itself, and the loop only says when it can.

    state       leaves it by
    open        close, the peer's end: to closing; an error, abort: to gone
    closing     all is written that was owed, and our goodbye: to lingering; `STUCK_SECONDS`, error: to gone
    lingering   the peer's end, `LINGER_SECONDS`, abort: to gone; what it still sends is not looked at
    gone        the protocol is told, the socket closed

Rules: TLS 1.3 alone, so that reading never waits for writing but to answer a change of keys, and writing
never for reading; a protocol whose call fails loses its connection, nobody else's.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from distribution.transport.runaway import NOBODY
from distribution.transport.surface import Surface
from distribution.transport.turns import Turns

LINGER_SECONDS: Final = 30.0
"""From our goodbye to the end of the socket, if the peer does not end it sooner."""

STUCK_SECONDS: Final = 60.0
"""How long a peer may take nothing of what is owed once the end has begun, or of our new keys."""

_RECORD: Final = 16_384
"""The most that one read brings (RFC 8446 5.1)."""

_PIECE: Final = 262_144
"""What is written at once: of more it could not be told whether the peer takes any of it."""

_DISCARD: Final = 65_536
_NOBODY: Final = asyncio.Protocol()


class SealedTransport(Surface):
    """One connection after its handshake. Belongs to the event loop."""

    __slots__ = (
        "_blocked", "_gone", "_loop", "_number", "_open", "_owed", "_pending", "_runaway", "_seal", "_timer",
        "_turns",
    )  # fmt: skip

    def __init__(self, sealed: ssl.SSLSocket, protocol: asyncio.BaseProtocol, turns: Turns) -> None:
        """Begin: the protocol is told of its connection at once, and of what comes in later turns.

        `turns` watches the socket, and lets many connections come to their ends one after the other.
        """
        super().__init__(sealed, protocol)
        self._turns = turns
        self._runaway = turns.runaway
        self._number = sealed.fileno()
        # The class in between would cost as much as all that is done with a heartbeat: it asks for each byte
        # whether it is closed, which is known here.
        bare: Any = sealed._sslobj  # type: ignore[attr-defined] # noqa: SLF001 - so named since Python 2.6
        self._open: Callable[..., Any] = bare.read
        self._seal: Callable[[bytes | bytearray | memoryview], int] = bare.write
        self._pending: Callable[[], int] = bare.pending
        self._loop = asyncio.get_running_loop()
        self._owed: deque[bytes] | None = None
        """What is to be written; the first is tried again as it is, as OpenSSL wants it. None is empty."""
        self._blocked = self._gone = False
        self._timer: asyncio.TimerHandle | None = None
        protocol.connection_made(self)
        if not self._paused and not self._closing:
            turns.on_readable(self._number, self._readable)

    # What the loop says.

    def _readable(self) -> None:
        if self._paused or self._closing:
            return
        runaway = self._runaway
        try:
            buffered = self._buffered
            runaway.reading = self._number
            if buffered is None:
                data = self._open(_RECORD)
                runaway.reading = NOBODY
                if data:
                    self._protocol.data_received(data)  # type: ignore[attr-defined] # it is a plain one
                else:
                    self._hear_end()
            else:
                size = self._open(_RECORD, buffered.get_buffer(_RECORD))
                runaway.reading = NOBODY
                if size:
                    buffered.buffer_updated(size)
                else:
                    self._hear_end()
            if self._pending():  # the buffer was smaller than the record; the loop does not know of the rest
                self._loop.call_soon(self._readable_again)
        except ssl.SSLWantReadError:  # a record has begun
            runaway.reading = NOBODY
        except Exception as exc:  # noqa: BLE001 - a seam: what is at fault here ends here
            runaway.reading = NOBODY
            self._stumble(exc)

    def _readable_again(self) -> None:
        self._runaway.looks += 1  # it is another call, and not one that lasts
        self._readable()

    def _hear_end(self) -> None:
        self._protocol.eof_received()  # type: ignore[attr-defined] # both kinds have it
        if self._hear_no_more() and self._owed is None:
            self._turns.later(self._say_goodbye)

    def _stumble(self, exc: Exception) -> None:
        match exc:
            case ssl.SSLWantWriteError():
                # A change of keys is to be answered first; who does not take that is not heard until he does.
                self._turns.ignore_readable(self._number)
                self._turns.on_writable(self._number, self._writable)
                self._end_if_stuck()
            case OSError():
                self._end(exc)
            case _:
                told = {"message": "protocol failed", "exception": exc, "protocol": self._protocol}
                self._loop.call_exception_handler(told)
                self._end(exc)

    def _writable(self) -> None:
        try:
            while self._owed:
                self._seal(self._owed[0])
                self._size -= len(self._owed.popleft())
            self._owed = None
            self._turns.ignore_writable(self._number)
            if self._closing:
                self._say_goodbye()
                return
            self._forgive()
            if not self._paused:
                self._turns.on_readable(self._number, self._readable)  # it may have waited for this
                self._loop.call_soon(self._readable_again)
        except ssl.SSLWantWriteError:
            pass
        except OSError as exc:
            self._end(exc)
            return
        if self._blocked and not self._closing and self._size <= self._low:
            self._blocked = False
            try:
                self._protocol.resume_writing()
            except Exception as exc:  # noqa: BLE001 - as in `_readable`
                self._stumble(exc)

    # What the protocol says.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Seal and send what the socket takes, and keep the rest for later."""
        if self._closing or not data:
            return
        if len(data) > _PIECE:
            view = memoryview(data)
            for start in range(0, len(data), _PIECE):
                self.write(view[start : start + _PIECE])
            return
        if self._owed is None:
            try:
                self._seal(data)
            except ssl.SSLWantWriteError:
                self._owed = deque()
            except OSError as exc:
                self._end(exc)
                return
            else:
                return
        self._owed.append(bytes(data))
        self._size += len(data)
        self._turns.on_writable(self._number, self._writable)
        if not self._blocked and self._size > self._high:
            self._blocked = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Hear no more; end once all is written."""
        if self._hear_no_more() and self._owed is None:
            self._say_goodbye()

    def abort(self) -> None:
        """End now."""
        self._end(None)

    def pause_reading(self) -> None:
        """Leave with the kernel what comes."""
        if not self._paused and not self._closing:
            self._paused = True
            self._turns.ignore_readable(self._number)

    def resume_reading(self) -> None:
        """Hear again."""
        if self._paused and not self._closing:
            self._paused = False
            self._turns.on_readable(self._number, self._readable)
            if self._pending():
                self._loop.call_soon(self._readable_again)

    # The end.

    def _hear_no_more(self) -> bool:
        if self._closing:
            return False
        self._closing = True
        self._turns.ignore_readable(self._number)
        if self._owed is not None:
            self._end_if_stuck()
        return True

    def _end_if_stuck(self) -> None:
        """End when nothing of what is owed has gone for `STUCK_SECONDS`; whatever is heard meanwhile."""
        if self._timer is None:
            self._timer = self._loop.call_later(STUCK_SECONDS, self._look_again, self._size)

    def _look_again(self, owed: int) -> None:
        self._timer = None
        if self._size < owed:
            self._end_if_stuck()
        else:
            self._end(None)

    def _forgive(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _say_goodbye(self) -> None:
        if self._gone:
            return
        try:
            with self._runaway.over(self._number):
                self._sock.unwrap()
        except ssl.SSLWantWriteError:
            self._turns.on_writable(self._number, self._writable)
            self._end_if_stuck()
        except ssl.SSLError:
            # Instead of his goodbye there is nothing yet, or something else: who closes while something comes
            # loses his last words.
            self._linger_on()
        except (OSError, ValueError):  # it is gone already
            self._end(None)
        else:
            self._end(None)

    def _linger_on(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(None)
            return
        self._turns.ignore_writable(self._number)
        self._forgive()
        self._timer = self._loop.call_later(LINGER_SECONDS, self._end, None)
        self._turns.on_readable(self._number, self._discard)

    def _discard(self) -> None:
        try:
            if socket.socket.recv(self._sock, _DISCARD):  # as it comes: nobody opens it any more
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self._end(None)

    def _end(self, exc: Exception | None) -> None:
        if self._gone:
            return
        self._gone = self._closing = True
        self._forgive()
        self._owed = None
        self._turns.ignore_readable(self._number)
        self._turns.ignore_writable(self._number)
        self._turns.later(partial(self._tell_gone, exc))

    def _tell_gone(self, exc: Exception | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            with self._runaway.lock:
                self._sock.close()
            self.set_protocol(_NOBODY)
