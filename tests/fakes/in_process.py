"""A connection to the agents' listener without a socket: bytes in, bytes out, all else as it is served."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from opamp.v1 import opamp_pb2
from starlette.applications import Starlette
from uvicorn.server import ServerState

from distribution.protocol import wire
from tests.fakes.certificates import DOMAIN
from tests.fakes.listening import PATH, Identity

UPGRADE = (
    f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n"
).encode()


class Verified:
    """What TLS knows of a peer with a certificate."""

    def __init__(self, identity: Identity) -> None:
        self._shown = {
            "serialNumber": f"{identity.issued.serial.number:X}",
            "subjectAltName": (("URI", f"spiffe://{DOMAIN}/agent/{identity.agent}"),),
        }

    def getpeercert(self) -> dict[str, Any]:
        """Return the certificate as the standard library tells it."""
        return self._shown


class Wire(asyncio.Transport):
    """One connection, seen from its peer."""

    def __init__(self, config: uvicorn.Config, state: ServerState, identity: Identity | None) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        if identity is not None:
            self._extra["ssl_object"] = Verified(identity)
        self.out = bytearray()
        self.closed = False
        self._protocol: Any = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg, arg-type] # as uvicorn does
        self._protocol.connection_made(self)

    def feed(self, data: bytes) -> None:
        """Have the server receive bytes."""
        while data and not self.closed:
            if isinstance(self._protocol, asyncio.BufferedProtocol):
                buffer = memoryview(self._protocol.get_buffer(-1))  # type: ignore[arg-type] # it is one
                taken = min(len(buffer), len(data))
                buffer[:taken] = data[:taken]
                buffer.release()
                self._protocol.buffer_updated(taken)
                data = data[taken:]
            else:
                self._protocol.data_received(data)
                return

    def take(self) -> bytes:
        """Return what the server has sent since the last time."""
        out = bytes(self.out)
        self.out.clear()
        return out

    def hang_up(self) -> None:
        """The connection is gone."""
        self.closed = True
        self._protocol.connection_lost(None)

    # What the server does with it.

    def write(self, data: Any) -> None:
        """Keep what is sent."""
        self.out += data

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Keep what is sent."""
        for data in list_of_data:
            self.out += data

    def close(self) -> None:
        """No more is taken."""
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """The WebSocket class takes over."""
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing waits here."""

    def pause_reading(self) -> None:
        """Nothing waits here."""

    def resume_reading(self) -> None:
        """Nothing waits here."""


@asynccontextmanager
async def at_work(config: uvicorn.Config) -> AsyncIterator[ServerState]:
    """Run what stands behind the listener: its worker, its hub, its load."""
    config.load()
    app = config.app
    if not isinstance(app, Starlette):
        raise TypeError("the listener's application is another one than expected")
    async with app.router.lifespan_context(app):
        yield ServerState()


def frames(out: bytes) -> list[tuple[int, bytes]]:
    """Return the opcodes and payloads of what a server sent: whole, final, unmasked frames."""
    found = []
    while out:
        assert out[0] & 0xF0 == 0x80, out[:20]
        length, start = out[1], 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, start = int.from_bytes(out[2 : 2 + size], "big"), 2 + size
        assert len(out) >= start + length
        found.append((out[0] & 0x0F, out[start : start + length]))
        out = out[start + length :]
    return found


def answers(out: bytes) -> list[opamp_pb2.ServerToAgent]:
    """Return the messages among the frames."""
    return [wire.decode_ws(payload, opamp_pb2.ServerToAgent) for code, payload in frames(out) if code == 2]
