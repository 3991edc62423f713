"""Covers distribution/agent/websocket.py: frames, cuts, refused upgrades, no detours."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from distribution.agent.link import address
from distribution.agent.websocket import open_websocket
from distribution.errors import MalformedError, UnreachableError
from keys.errors import NotAdmittedError
from tests.fakes.certificates import agent
from tests.fakes.https_server import https_server

MESSAGE = opamp_pb2.AgentToServer(instance_uid=agent().raw)
REPLY = opamp_pb2.ServerToAgent(instance_uid=agent().raw)

Answer = Callable[[ServerConnection, Request], Response | None]


@asynccontextmanager
async def websocket_server(
    folder: Path, handler: Callable[[ServerConnection], Coroutine[None, None, None]], answer: Answer
) -> AsyncIterator[str]:
    """Serve WebSockets with the certificate of `https_server`'s hierarchy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "online" / "server.pem", folder / "online" / "server.key.pem")
    async with serve(handler, "127.0.0.1", 0, ssl=context, process_request=answer, compression=None) as made:
        port = next(iter(made.sockets)).getsockname()[1]
        yield f"https://127.0.0.1:{port}/v1/opamp"


async def echo(socket: ServerConnection) -> None:
    async for payload in socket:
        if isinstance(payload, bytes) and payload[0] == 0:
            await socket.send(b"\x00" + REPLY.SerializeToString())


async def text(socket: ServerConnection) -> None:
    await socket.send("hello")
    await socket.wait_closed()


async def cut(socket: ServerConnection) -> None:
    await socket.close(1008, "certificate 5 of agent a was revoked")


async def drop(socket: ServerConnection) -> None:
    socket.transport.abort()


def let_in(_: ServerConnection, __: Request) -> None:
    return None


def exchange(
    tmp_path: Path,
    handler: Callable[[ServerConnection], Coroutine[None, None, None]],
    answer: Answer = let_in,
) -> opamp_pb2.ServerToAgent:
    """Send one message over a WebSocket, and return the reply."""

    async def main(ca_pem: str) -> opamp_pb2.ServerToAgent:
        async with websocket_server(tmp_path, handler, answer) as url:
            link = await open_websocket(address(url, ca_pem, None, {"Authorization": "Enrollment t.s"}))
            try:
                await link.send(MESSAGE)
                return await link.receive()
            finally:
                await link.close()

    with https_server(tmp_path) as made:
        return asyncio.run(main(made.trust.ca_pem))


def test_a_message_goes_over_a_websocket(tmp_path: Path) -> None:
    """A frame with the header goes out, the reply comes in, with the token's header shown."""
    seen: list[str | None] = []

    def look(_: ServerConnection, request: Request) -> None:
        seen.append(request.headers.get("Authorization"))

    assert exchange(tmp_path, echo, look) == REPLY
    assert seen == ["Enrollment t.s"]


def test_a_text_frame_is_malformed(tmp_path: Path) -> None:
    """Text is no message of this protocol."""
    with pytest.raises(MalformedError, match="text frame of 5 characters"):
        exchange(tmp_path, text)


def test_a_cut_says_what_the_server_said(tmp_path: Path) -> None:
    """A connection that the server closes is an error with its code and reason; a drop is one without."""
    with pytest.raises(UnreachableError, match="closed the connection with 1008: certificate 5 of agent a"):
        exchange(tmp_path, cut)


def test_a_dropped_connection_is_an_error(tmp_path: Path) -> None:
    """A connection that just ends says no more than that."""
    with pytest.raises(UnreachableError, match="connection broke off"):
        exchange(tmp_path, drop)


@pytest.mark.parametrize(
    ("status", "expected"), [(401, NotAdmittedError), (503, UnreachableError), (307, UnreachableError)]
)
def test_a_refused_upgrade(tmp_path: Path, status: int, expected: type[Exception]) -> None:
    """A refusal is told with its body and pause, and a redirect is a refusal: it is not followed."""

    def refuse(socket: ServerConnection, _: Request) -> Response:
        made = socket.respond(HTTPStatus(status), "agent a, serial 5")
        made.headers["Retry-After"] = "7"
        made.headers["Location"] = "wss://evil.example/"
        return made

    with pytest.raises(expected, match=f"server answered {status}: agent a, serial 5") as raised:
        exchange(tmp_path, echo, refuse)
    assert getattr(raised.value, "retry_after", None) == (None if status == 401 else 7.0)
