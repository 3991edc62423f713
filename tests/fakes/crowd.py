"""Many agents at once in one event loop: WebSocket and HTTP over mutual TLS, as cheap as a host can be.

Each keeps count of what it sent and got, so that a test can tell a lost answer from one that came twice.
"""

import asyncio
import resource
from typing import Protocol

from opamp.v1 import opamp_pb2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from distribution.protocol import wire
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.listening import PATH, Identity, Listening
from tests.fakes.wire_client import said

FILES_ASIDE = 512
"""Open files of a test process beside the sockets."""


class Line(Protocol):
    """How messages go to and fro."""

    async def send(self, message: opamp_pb2.AgentToServer) -> None: ...

    async def receive(self) -> opamp_pb2.ServerToAgent:
        """Return the next message. Raises ConnectionError once the server has closed."""
        ...

    async def close(self) -> None: ...

    def abort(self) -> None:
        """Drop the connection; no harm if it is closed."""
        ...


class WebSocketLine:
    """One WebSocket connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @classmethod
    async def opened(cls, at: Listening, identity: Identity) -> "WebSocketLine":
        """Connect with the agent's certificate."""
        url, tls = f"wss://{at.address}{PATH}", at.client_tls(identity)
        return cls(
            await connect(url, ssl=tls, compression=None, ping_interval=None, open_timeout=120, proxy=None)
        )

    async def send(self, message: opamp_pb2.AgentToServer) -> None:
        """Send one frame."""
        await self._connection.send(wire.encode_ws(message))

    async def receive(self) -> opamp_pb2.ServerToAgent:
        """Return the next frame's message."""
        try:
            payload = await self._connection.recv(decode=False)
        except ConnectionClosed as exc:
            raise ConnectionError(str(exc)) from exc
        return wire.decode_ws(payload, opamp_pb2.ServerToAgent)

    async def close(self) -> None:
        """Close with the closing handshake."""
        await self._connection.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._connection.transport.abort()


class PollingLine:
    """One connection that is kept alive between POSTs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def opened(cls, at: Listening, identity: Identity) -> "PollingLine":
        """Connect with the agent's certificate."""
        tls = at.client_tls(identity)
        return cls(*await asyncio.open_connection("127.0.0.1", at.port, ssl=tls, ssl_handshake_timeout=120))

    async def send(self, message: opamp_pb2.AgentToServer) -> None:
        """Send one POST."""
        body = wire.encode_http(message, compress=False)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.CONTENT_TYPE}\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await self._writer.drain()

    async def receive(self) -> opamp_pb2.ServerToAgent:
        """Return the next response's message; any status but 200 is an error."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as exc:
            raise ConnectionError("closed by the server") from exc
        status, *lines = head.decode().split("\r\n")
        if status.split()[1] != "200":
            raise ConnectionError(status)
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await self._reader.readexactly(int(headers["content-length"]))
        return wire.decode(body, opamp_pb2.ServerToAgent)

    async def close(self) -> None:
        """Go away."""
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    def abort(self) -> None:
        """Drop the connection."""
        self._writer.transport.abort()


class Simulated:
    """One agent of the crowd."""

    def __init__(self, at: Listening, identity: Identity, *, polls: bool) -> None:
        self.identity, self.polls = identity, polls
        self.sent, self.got = 0, 0
        self.offers: list[opamp_pb2.PackagesAvailable] = []
        self._at = at
        self._opened: Line | None = None

    @property
    def _line(self) -> Line:
        if self._opened is None:
            raise RuntimeError(f"agent {self.identity.agent} is not connected")
        return self._opened

    async def connect(self) -> None:
        """Open the connection."""
        kind = PollingLine if self.polls else WebSocketLine
        self._opened = await kind.opened(self._at, self.identity)

    async def ask(self, **parts: object) -> opamp_pb2.ServerToAgent:
        """Send a message, a heartbeat without `parts`, and return its answer."""
        await self._line.send(said(self.identity.agent, self.sent, **parts))
        self.sent += 1
        return await self.hear()

    async def hear(self) -> opamp_pb2.ServerToAgent:
        """Return the next message; it must be for this agent, and no error."""
        message = await self._line.receive()
        self.got += 1
        assert message.instance_uid == self.identity.agent.raw, message
        assert not message.HasField("error_response"), message
        if message.HasField("packages_available"):
            self.offers.append(message.packages_available)
        return message

    async def take_offer(self) -> None:
        """Wait for an offer as this transport gets it: pushed, or with the answer to a poll."""
        while not self.offers:
            await (self.ask() if self.polls else self.hear())

    async def report_installed(self) -> None:
        """Say that everything that was offered last is installed."""
        offer = self.offers[-1]
        packages = {
            name: opamp_pb2.PackageStatus(
                name=name,
                agent_has_version=each.version,
                agent_has_hash=each.hash,
                server_offered_version=each.version,
                server_offered_hash=each.hash,
                status=opamp_pb2.PackageStatusEnum_Installed,
            )
            for name, each in offer.packages.items()
        }
        statuses = opamp_pb2.PackageStatuses(
            packages=packages, server_provided_all_packages_hash=offer.all_packages_hash
        )
        await self.ask(package_statuses=statuses)

    async def until_closed(self) -> None:
        """Read until the server has closed the connection."""
        try:
            while True:
                await self._line.receive()
        except ConnectionError:
            await self._line.close()

    def abandon(self) -> None:
        """Drop the connection, if there is one."""
        if self._opened is not None:
            self._opened.abort()

    async def leave(self) -> None:
        """Say goodbye and close."""
        await self.ask(agent_disconnect=opamp_pb2.AgentDisconnect())
        await self._line.close()


def crowd(at: Listening, count: int) -> list[Simulated]:
    """Enroll `count` agents with one token; every second one polls."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * count + FILES_ASIDE
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    token, found = at.work.token("crowd", uses=count), []
    for number in range(1, count + 1):
        who, key = agent(number), new_key()
        issued = at.work.authority.enroll(csr(key, who), token, who, at.work.clock())
        found.append(Simulated(at, at.keep(who, key, issued), polls=number % 2 == 0))
    return found
