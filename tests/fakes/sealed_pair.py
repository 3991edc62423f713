"""Both ends of a TLS connection on loopback: ours in the loop, the other one a plain blocking socket."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import uvloop

from distribution.transport.sealed import SealedTransport
from distribution.transport.turns import Turns
from tests.fakes.greeted import shake_hands

SECONDS = 10.0


class Heard(asyncio.Protocol):
    """Notes what it is told; is handed bytes."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment] # set before anything else
        self.data = bytearray()
        self.notes: list[str] = []
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note it."""
        self.transport = transport  # type: ignore[assignment]
        self.notes.append("made")

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.data += data

    def eof_received(self) -> None:
        """Note it."""
        self.notes.append("end")

    def pause_writing(self) -> None:
        """Note it."""
        self.notes.append("pause")

    def resume_writing(self) -> None:
        """Note it."""
        self.notes.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        self.notes.append("lost")
        self.lost.set_result(exc)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(SECONDS):
            while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.002)


class HeardInBuffer(Heard, asyncio.BufferedProtocol):
    """The same, with a buffer of its own."""

    def __init__(self, size: int = 65_536) -> None:
        super().__init__()
        self._buffer = bytearray(size)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Lend it."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Keep what is in it."""
        self.data += self._buffer[:nbytes]


def turns() -> Turns:
    """Return what watches sockets in the loop that runs."""
    return Turns(asyncio.get_running_loop(), time.perf_counter)


async def both_ends(
    context: ssl.SSLContext, ca_file: Path, trusting: ssl.SSLContext | None = None, **options: int
) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Return the server's end after its handshake, and the client's, which blocks.

    `trusting` is the client's TLS, if it is not the usual one.
    `options`, by name, are socket options of SOL_SOCKET for both ends.
    """
    with socket.socket() as listening:
        for name, value in options.items():
            listening.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        there = socket.socket()
        for name, value in options.items():
            there.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        there.settimeout(SECONDS)
        there.connect(listening.getsockname())
        here, _ = listening.accept()
    here.setblocking(False)
    trusting = trusting or ssl.create_default_context(cafile=str(ca_file))
    greeted = asyncio.create_task(shake_hands(here, context, SECONDS, turns()))
    client = await asyncio.to_thread(trusting.wrap_socket, there, server_hostname="127.0.0.1")
    return await greeted, client


Story = Callable[[Heard, ssl.SSLSocket], Coroutine[Any, Any, None]]
Make = Callable[[], Heard]


class Teller(Protocol):
    """Tells a story about a connection whose protocol is made by `make`; see `both_ends` for the options."""

    def __call__(self, story: Story, make: Make = ..., **options: int) -> None: ...


def teller(tls: tuple[ssl.SSLContext, Path]) -> Teller:
    """Return who tells stories over this TLS, and looks after each that nothing is left of it."""

    def told(story: Story, make: Make = HeardInBuffer, **options: int) -> None:
        uvloop.run(_tale(tls, story, make, options))

    return told


async def _tale(tls: tuple[ssl.SSLContext, Path], story: Story, make: Make, options: dict[str, int]) -> None:
    here, client = await both_ends(*tls, **options)
    protocol = make()
    SealedTransport(here, protocol, turns())
    try:
        await story(protocol, client)
    finally:
        client.close()
        protocol.transport.abort()
        await protocol.lost
    assert here.fileno() == -1
    assert protocol.notes.count("lost") == 1


def everything(client: ssl.SSLSocket) -> bytes:
    """Read to the other side's goodbye."""
    return b"".join(iter(partial(client.recv, 65_536), b""))
