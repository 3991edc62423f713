"""What an asyncio transport tells of itself, and what it is told of its bounds."""

import asyncio
import ssl
from typing import Any, Final

_HIGH_WATER: Final = 65_536
_LOW_SHARE: Final = 4


class Surface(asyncio.Transport):
    """The part of a transport that only knows."""

    __slots__ = ("_buffered", "_closing", "_high", "_low", "_paused", "_protocol", "_size", "_sock")

    def __init__(self, sock: ssl.SSLSocket, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._sock = sock
        self._size = 0
        self._paused = self._closing = False
        self.set_write_buffer_limits()
        self.set_protocol(protocol)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another one from now on."""
        self._protocol = protocol
        self._buffered = protocol if isinstance(protocol, asyncio.BufferedProtocol) else None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set from how many bytes owed on the protocol is to pause, and down to how many."""
        self._high = _HIGH_WATER if high is None else high
        self._low = self._high // _LOW_SHARE if low is None else low

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
