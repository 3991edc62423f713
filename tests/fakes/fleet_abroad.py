"""Many agents of a server that is another process: enrolled over the wire, talking over both transports."""

import asyncio
import contextlib
import copy
import ssl
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from opamp.v1 import opamp_pb2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from distribution.demo.cluster import Cluster
from distribution.protocol import wire
from keys.identity import AgentId
from keys.trust import decode_token
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.wire_client import description, request_for, said

PATH = "/v1/opamp"
AT_ONCE = 20
"""Enrollments, or connections that are opened, at the same time."""

DEMO_DOMAIN = "demo.example"


@dataclass
class Abroad:
    """One agent: what it holds, and what it sent and got."""

    who: AgentId
    certificate_file: Path
    key_file: Path
    polls: bool
    says: opamp_pb2.ComponentHealth | None = None
    """Its health, said with every message."""
    sequence: int = 0
    sent: int = 0
    answered: int = 0
    unanswered: int = 0
    """Messages whose connection ended before their answer; each is sent again."""
    endings: list[str] = field(default_factory=list)
    """How connections ended, in order."""
    ended_at: list[float] = field(default_factory=list)
    """When, by the monotonic clock."""
    refused: list[str] = field(default_factory=list)
    """Why connections could not be opened."""


class Away:
    """How to reach a cluster's server."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.ca_pem = tomllib.loads(cluster.trust_file.read_text())["ca_pem"]
        settings = tomllib.loads(cluster.settings_file.read_text())
        self.port = int(settings["agents"]["port"])
        self.downloads_port = int(settings["downloads"]["port"])

    def to(self, port: int) -> "Away":
        """Return the same hosts, on the way to another port."""
        other = copy.copy(self)
        other.port = port
        return other

    def tls(self, one: Abroad | None = None) -> ssl.SSLContext:
        """Return the TLS of a host."""
        context = ssl.create_default_context(cadata=self.ca_pem)
        if one is not None:
            context.load_cert_chain(one.certificate_file, one.key_file)
        return context

    async def enroll(self, token: str, count: int, first: int = 1) -> list[Abroad]:
        """Enroll `count` agents with one token string; every second one polls. Raises HTTPStatusError."""
        secret = decode_token(token)
        room = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{self.port}", verify=self.tls(), timeout=60
        ) as client:

            async def one(number: int) -> Abroad:
                async with room:
                    return await self._enroll(client, secret.presented, number)

            return list(await asyncio.gather(*(one(number) for number in range(first, first + count))))

    async def _enroll(self, client: httpx.AsyncClient, token: str, number: int) -> Abroad:
        who, key = agent(number), new_key()
        asked = request_for(csr(key, who, domain=DEMO_DOMAIN))
        response = await client.post(
            PATH,
            content=wire.encode_http(said(who, connection_settings_request=asked), compress=False),
            headers={"Content-Type": wire.CONTENT_TYPE, "Authorization": f"Enrollment {token}"},
        )
        response.raise_for_status()
        answer = wire.decode(response.content, opamp_pb2.ServerToAgent)
        certificate = answer.connection_settings.opamp.certificate.cert
        assert certificate, answer
        one = Abroad(who, self.folder / f"{number}.crt", self.folder / f"{number}.key", number % 2 == 0)
        one.certificate_file.write_bytes(certificate)
        one.key_file.write_bytes(_pem(key))
        return one


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Talking:
    """A fleet that talks without a pause until it is told to stop, and comes back when it is sent away."""

    def __init__(self, away: Away, agents: list[Abroad], pause: float) -> None:
        """`pause` is between an answer and the next message, in seconds."""
        self._away = away
        self._agents = agents
        self._pause = pause
        self._stop = asyncio.Event()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._live(one)) for one in self._agents]

    async def stop(self) -> None:
        """Have each end after its present answer. Raises what went wrong."""
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def until_each_has(self, answers: int) -> None:
        """Wait until every agent got so many answers more."""
        wanted = {id(one): one.answered + answers for one in self._agents}
        while any(one.answered < wanted[id(one)] for one in self._agents):
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.05)

    async def _live(self, one: Abroad) -> None:
        while not self._stop.is_set():
            try:
                async with self._room:
                    line = await (Posts if one.polls else Frames).opened(self._away, one)
            except (OSError, InvalidHandshake) as exc:
                one.refused.append(str(exc) or type(exc).__name__)
                await asyncio.sleep(0.1)  # what a client does between two tries
                continue
            try:
                one.endings.append(await self._talk(one, line))
                one.ended_at.append(time.monotonic())
            finally:
                await line.close()

    async def _talk(self, one: Abroad, line: "Line") -> str:
        """Talk until the connection ends; return how it did."""
        while not self._stop.is_set():
            one.sequence += 1
            one.sent += 1
            message = said(one.who, one.sequence)
            if one.says is not None:
                message.health.CopyFrom(one.says)
            if one.sequence == 1:
                message.agent_description.CopyFrom(description())
            try:
                await line.ask(message)
            except (ConnectionError, asyncio.IncompleteReadError) as exc:
                one.unanswered += 1
                return str(exc)
            one.answered += 1
            if line.ends:
                return line.ends
            await asyncio.sleep(self._pause)
        return "stopped"


class Line(Protocol):
    """One connection."""

    ends: str
    """Why the server will take no more on it, empty while it does."""

    async def ask(self, message: opamp_pb2.AgentToServer) -> None:
        """Send a message and take its answer. Raises ConnectionError if there is none."""
        ...

    async def close(self) -> None: ...


class Frames:
    """A WebSocket connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.ends = ""

    @classmethod
    async def opened(cls, away: Away, one: Abroad) -> "Frames":
        """Connect."""
        url = f"wss://127.0.0.1:{away.port}{PATH}"
        return cls(
            await connect(
                url, ssl=away.tls(one), compression=None, ping_interval=None, open_timeout=60, proxy=None
            )
        )

    async def ask(self, message: opamp_pb2.AgentToServer) -> None:
        """Send a frame; what comes next is its answer, unless it says that the server stops."""
        with contextlib.suppress(ConnectionClosed):  # what was said before is still to be read
            await self._connection.send(wire.encode_ws(message))
        try:
            answer = wire.decode_ws(await self._connection.recv(decode=False), opamp_pb2.ServerToAgent)
            if not answer.HasField("error_response"):
                return
            hint = answer.error_response
            self.ends = f"{opamp_pb2.ServerErrorResponseType.Name(hint.type)}"
            self.ends += f" {hint.retry_info.retry_after_nanoseconds // 10**9}"
            await self._connection.recv(decode=False)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else 0
            raise ConnectionError(f"{self.ends} {code}".strip()) from closed
        raise AssertionError("something was said after an error")

    async def close(self) -> None:
        """Close."""
        await self._connection.close()


class Posts:
    """A connection that is kept between POSTs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.ends = ""

    @classmethod
    async def opened(cls, away: Away, one: Abroad) -> "Posts":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", away.port, ssl=away.tls(one)))

    async def ask(self, message: opamp_pb2.AgentToServer) -> None:
        """Send a POST and read its response, which must be 200."""
        body = wire.encode_http(message, compress=False)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.CONTENT_TYPE}\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        await self._reader.readexactly(int(headers["content-length"]))
        if status.split()[1] != "200":
            raise ConnectionError(f"{status} {headers.get('retry-after', '')}")
        if headers.get("connection") == "close":
            self.ends = "Connection: close"

    async def close(self) -> None:
        """Close."""
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)
