"""TLS straight on a socket: what comes is opened into the protocol's own buffer, what goes is sealed at once.

The loops' own TLS goes through two memory buffers and an exception for each message; that cost more than to
answer it. Here OpenSSL reads and writes the socket itself, and the loop only says when it can.

    state       leaves it by
    open        close, the peer's end: to closing; an error, abort: to gone
    closing     all is written that was owed, and our goodbye: to lingering
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

from distribution.transport.turns import Turns

LINGER_SECONDS: Final = 30.0
"""From our goodbye to the end of the socket, if the peer does not end it sooner."""

_HIGH_WATER: Final = 65_536
_LOW_SHARE: Final = 4
_RECORD: Final = 16_384
"""The most that one read brings (RFC 8446 5.1)."""

_DISCARD: Final = 65_536
_NOBODY: Final = asyncio.Protocol()


class SealedTransport(asyncio.Transport):
    """One connection after its handshake. Belongs to the event loop."""

    __slots__ = (
        "_blocked", "_buffered", "_closing", "_gone", "_high", "_linger", "_loop", "_low", "_number", "_open",
        "_owed", "_paused", "_pending", "_protocol", "_seal", "_size", "_sock", "_turns",
    )  # fmt: skip

    def __init__(self, sealed: ssl.SSLSocket, protocol: asyncio.BaseProtocol, turns: Turns) -> None:
        """Begin: the protocol is told of its connection at once, and of what comes in later turns.

        `turns` watches the socket, and lets many connections come to their ends one after the other.
        """
        super().__init__()
        self._turns = turns
        self._sock = sealed
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
        self._size = 0
        self._paused = self._blocked = self._closing = self._gone = False
        self._linger: asyncio.TimerHandle | None = None
        self.set_write_buffer_limits()
        self.set_protocol(protocol)
        protocol.connection_made(self)
        if not self._paused and not self._closing:
            turns.on_readable(self._number, self._readable)

    # What the loop says.

    def _readable(self) -> None:
        if self._paused or self._closing:
            return
        try:
            buffered = self._buffered
            if buffered is None:
                self._hand_on(self._open(_RECORD))
            elif size := self._open(_RECORD, buffered.get_buffer(_RECORD)):
                buffered.buffer_updated(size)
            else:
                self._hear_end()
            if self._pending():  # the buffer was smaller than the record; the loop does not know of the rest
                self._loop.call_soon(self._readable)
        except ssl.SSLWantReadError:  # a record has begun
            return
        except Exception as exc:  # noqa: BLE001 - a seam: what is at fault here ends here
            self._stumble(exc)

    def _hand_on(self, data: bytes) -> None:
        if data:
            self._protocol.data_received(data)  # type: ignore[attr-defined] # it is a plain one
        else:
            self._hear_end()

    def _hear_end(self) -> None:
        self._protocol.eof_received()  # type: ignore[attr-defined] # both kinds have it
        if self._hear_no_more() and self._owed is None:
            self._turns.later(self._say_goodbye)

    def _stumble(self, exc: Exception) -> None:
        match exc:
            case ssl.SSLWantWriteError():  # a change of keys is to be answered first
                self._watch_writing()
            case ssl.SSLEOFError():  # without a goodbye
                self._hear_end()
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
            elif not self._paused:
                self._loop.call_soon(self._readable)  # it may have waited for this
        except ssl.SSLWantWriteError:
            pass
        except OSError as exc:
            self._end(exc)
            return
        if self._blocked and not self._closing and self._size <= self._low:
            self._blocked = False
            self._protocol.resume_writing()

    def _watch_writing(self) -> None:
        self._turns.on_writable(self._number, self._writable)

    # What the protocol says.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Seal and send what the socket takes, and keep the rest for later."""
        if self._closing or not data:
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
        self._watch_writing()
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
                self._loop.call_soon(self._readable)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another one from now on."""
        self._protocol = protocol
        self._buffered = protocol if isinstance(protocol, asyncio.BufferedProtocol) else None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set from how many bytes owed on the protocol is to pause, and down to how many."""
        self._high = _HIGH_WATER if high is None else high
        self._low = self._high // _LOW_SHARE if low is None else low

    # What it asks.

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the one that is told."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """Return how many bytes of the text are owed."""
        return self._size

    def is_closing(self) -> bool:
        """Return whether the end has begun."""
        return self._closing

    def is_reading(self) -> bool:
        """Return whether it hears."""
        return not self._paused and not self._closing

    def can_write_eof(self) -> bool:
        """Return False: TLS has no half of a connection."""
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what asyncio's TLS transports tell: socket, addresses, context, the TLS object itself."""
        try:
            match name:
                case "socket" | "ssl_object":
                    return self._sock
                case "sslcontext":
                    return self._sock.context
                case "peername":
                    return self._sock.getpeername()
                case "sockname":
                    return self._sock.getsockname()
        except OSError:  # it is gone
            return default
        return default

    # The end.

    def _hear_no_more(self) -> bool:
        if self._closing:
            return False
        self._closing = True
        self._turns.ignore_readable(self._number)
        return True

    def _say_goodbye(self) -> None:
        if self._gone:
            return
        try:
            self._sock.unwrap()
        except ssl.SSLWantReadError:
            # The peer's goodbye is not here yet; who closes while something comes loses his last words.
            self._linger_on()
        except ssl.SSLWantWriteError:
            self._watch_writing()
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
        self._linger = self._loop.call_later(LINGER_SECONDS, self._end, None)
        self._turns.on_readable(self._number, self._discard)

    def _discard(self) -> None:
        try:
            if self._sock.recv(_DISCARD):
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
        if self._linger is not None:
            self._linger.cancel()
        self._owed = None
        self._turns.ignore_readable(self._number)
        self._turns.ignore_writable(self._number)
        self._turns.later(partial(self._tell_gone, exc))

    def _tell_gone(self, exc: Exception | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            self._sock.close()
            self.set_protocol(_NOBODY)
