"""Both ends of a gate: a host that connects on loopback, and what it takes for those let through."""

import asyncio
import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

from distribution.transport.arrivals import Ticket

WAIT_SECONDS = 10


class Taken(asyncio.Protocol):
    """A connection that was let through."""

    def __init__(self, ticket: Ticket, taken: "list[Taken]") -> None:
        self.ticket = ticket
        self._all = taken

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._all.append(self)

    def data_received(self, data: bytes) -> None:
        self.ticket.fruitful = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.remove(self)
        self.ticket.give_back()


class Host:
    """Connects to the gate."""

    def __init__(self, port: int, ca_file: Path) -> None:
        self.taken: list[Taken] = []
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._open = ExitStack()

    def plain(self, first: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        """Connect without TLS from an address, and send something."""
        there = ("127.0.0.1", self._port)
        sock = self._open.enter_context(socket.create_connection(there, WAIT_SECONDS, (source, 0)))
        if first:
            sock.sendall(first)
        return sock

    async def tls(self, source: str = "127.0.0.1") -> asyncio.Transport:
        """Connect with TLS from an address."""
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, "127.0.0.1", self._port, ssl=self._tls, local_addr=(source, 0)
        )
        self._open.callback(transport.abort)
        return transport

    def close(self) -> None:
        """Drop every connection."""
        self._open.close()
