"""Storms against a listener: connections that come to nothing, each in its own way, in a loop."""

import asyncio
import base64
import errno
import os
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from tests.fakes.fleet_abroad import PATH, Away

AT_ONCE = 32
"""Connections that a storm has open at the same time."""

OURS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EMFILE, errno.ENFILE, errno.ENOBUFS})
"""What keeps a connection from leaving this machine: no port, no descriptor, no memory."""

Gust: TypeAlias = Callable[[Away, ssl.SSLContext], Awaitable[object]]
"""One connection of a storm."""


async def silent(away: Away, _tls: ssl.SSLContext) -> None:
    """Connect and leave without a byte."""
    _, writer = await asyncio.open_connection("127.0.0.1", away.port)
    writer.transport.abort()


async def garbage(away: Away, _tls: ssl.SSLContext) -> None:
    """Speak HTTP without TLS."""
    reader, writer = await asyncio.open_connection("127.0.0.1", away.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await reader.read(1)
    writer.transport.abort()


async def half_hello(away: Away, _tls: ssl.SSLContext) -> None:
    """Begin a handshake and leave in the middle."""
    _, writer = await asyncio.open_connection("127.0.0.1", away.port)
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(64))
    await writer.drain()
    writer.transport.abort()


async def greeted(away: Away, tls: ssl.SSLContext) -> None:
    """Finish the handshake and leave without a word."""
    _, writer = await asyncio.open_connection("127.0.0.1", away.port, ssl=tls)
    writer.transport.abort()


async def refused(away: Away, tls: ssl.SSLContext) -> None:
    """Ask without a credential, and be refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", away.port, ssl=tls)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
    writer.write(f"{head}Content-Length: 1\r\n\r\nx".encode())
    status = await reader.readline()
    assert status.split()[1] in {b"401", b"503"}, status
    writer.transport.abort()


async def upgraded(away: Away, tls: ssl.SSLContext) -> None:
    """As a known agent, open a WebSocket and leave without a message, as the Kubernetes bridge does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", away.port, ssl=tls)
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    writer.write(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    status = await reader.readline()
    assert status.split()[1] in {b"101", b"503"}, status
    writer.transport.abort()


async def storm(away: Away, gust: Gust, tls: ssl.SSLContext, count: int) -> None:
    """Have `count` connections come and go, a few at a time; one that the server drops is no error.

    Raises:
        OSError: a connection could not even be begun here, which would make it a smaller storm.
    """
    room = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with room:
            try:
                await gust(away, tls)
            except OSError as exc:
                if exc.errno in OURS:
                    raise

    await asyncio.gather(*(one() for _ in range(count)))
