"""Crowds that take a server's memory: who does not read, does not finish, or asks and asks to be let in."""

import asyncio
import base64
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from distribution.protocol import wire
from tests.fakes.authority import SECRET
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.fleet_abroad import DEMO_DOMAIN, PATH, Abroad, Away
from tests.fakes.frames import frame
from tests.fakes.storms import AT_ONCE
from tests.fakes.wire_client import request_for, said

PINGS: Final = frame(bytes(125), first=0x89) * 500
UNREAD_BYTES: Final = 16 << 20
"""What one that does not read sends at most, each piece of which is to be answered in kind."""

BLOCKED_SECONDS: Final = 1.0
"""How long nothing more is taken of it before it is thought to be blocked."""

HALF_BYTES: Final = 3 << 20
FLOOD: Final = 20
"""Requests of each of those who ask to be let in."""

Peer: TypeAlias = Callable[[Away, Abroad], Awaitable[asyncio.StreamWriter | None]]
"""Does what it does until it can do no more; returns the connection that it still has."""


async def _upgraded(away: Away, one: Abroad) -> asyncio.StreamWriter:
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", away.port))
    reader, writer = await asyncio.open_connection(
        sock=plain, ssl=away.tls(one), server_hostname="127.0.0.1", limit=1024
    )
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    writer.write(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    answered = await reader.readuntil(b"\r\n\r\n")
    assert answered.split()[1] == b"101", answered
    return writer


async def unread(away: Away, one: Abroad) -> asyncio.StreamWriter:
    """Ask again and again, and read nothing."""
    writer, sent = await _upgraded(away, one), 0
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's
    try:
        while sent < UNREAD_BYTES:
            writer.write(PINGS)
            await asyncio.wait_for(writer.drain(), BLOCKED_SECONDS)
            sent += len(PINGS)
    except TimeoutError:
        return writer
    raise AssertionError(f"all of {sent} bytes were taken of a peer that reads nothing")


async def unfinished(away: Away, one: Abroad) -> asyncio.StreamWriter:
    """Send a large message but for its last byte."""
    writer = await _upgraded(away, one)
    writer.write(frame(bytes(HALF_BYTES))[:-1])
    await writer.drain()
    return writer


async def asking(away: Away, one: Abroad) -> None:
    """Ask to be let in with a token that is made up, each time on a connection of its own."""
    who = agent(int(one.key_file.stem))
    request = request_for(csr(new_key(), who, domain=DEMO_DOMAIN))
    body = wire.encode_http(said(who, connection_settings_request=request), compress=False)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.CONTENT_TYPE}\r\nConnection: close\r\n"
    head += f"Authorization: Enrollment nobody.{SECRET}\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(FLOOD):
        reader, writer = await asyncio.open_connection("127.0.0.1", away.port, ssl=away.tls())
        writer.write(head.encode() + body)
        status = await reader.readline()
        assert status.split()[1] in {b"200", b"429", b"503"}, status
        writer.transport.abort()


async def gathered(away: Away, agents: list[Abroad], peer: Peer) -> list[asyncio.StreamWriter]:
    """Have each agent be such a peer; return the connections that they hold now, all of them."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(who: Abroad) -> asyncio.StreamWriter | None:
        async with room:
            return await peer(away, who)

    return [writer for writer in await asyncio.gather(*map(one, agents)) if writer is not None]
