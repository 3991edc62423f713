"""The threat: a peer that sends what is no OpAMP message, to break the server or to fill its memory.

Every case ends with a defined answer, and the server goes on serving others.
"""

import socket
from collections.abc import Iterator

import pytest
import urllib3
from opamp.v1 import opamp_pb2
from websockets.frames import CloseCode

from distribution.errors import MalformedError, OversizedError
from distribution.protocol import wire
from distribution.transport.errors import answer_for
from tests.fakes.by_hand import all_of, bare_websocket, close_code
from tests.fakes.frames import frame
from tests.fakes.listening import MAX_BYTES, PATH, Listening, listening
from tests.fakes.wire_client import (
    WAIT_SECONDS,
    answer,
    close_of,
    description,
    heard,
    http_client,
    said,
    tell,
    websocket,
)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


@pytest.fixture(autouse=True)
def _others_are_served(at: Listening) -> Iterator[None]:
    """A well-behaved agent is connected during each attack, and is answered after it."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        tell(connection, said(identity.agent, agent_description=description()))
        yield
        assert tell(connection, said(identity.agent, 1)).instance_uid == identity.agent.raw


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(b"", length=MAX_BYTES + 1)[:14], CloseCode.MESSAGE_TOO_BIG),
        (frame(b"x" * 1000, length=1 << 62, form=64), CloseCode.MESSAGE_TOO_BIG),
        (frame(bytes(MAX_BYTES), first=0x02) + frame(b"x", first=0x80), CloseCode.MESSAGE_TOO_BIG),
        (frame(b"hello", first=0x81), CloseCode.UNSUPPORTED_DATA),
        (frame(b"hello", masked=False), CloseCode.PROTOCOL_ERROR),
        (frame(b"hello", first=0xF2), CloseCode.PROTOCOL_ERROR),
        (frame(b"hello", first=0x87), CloseCode.PROTOCOL_ERROR),
        (frame(b"x" * 126, first=0x89), CloseCode.PROTOCOL_ERROR),
        (frame(b"hello", first=0x80), CloseCode.PROTOCOL_ERROR),
        (bytes(range(1, 200)), CloseCode.PROTOCOL_ERROR),
    ],
    ids=[
        "oversized",
        "absurd-length",
        "oversized-in-fragments",
        "text",
        "unmasked",
        "reserved-bits",
        "unknown-opcode",
        "long-ping",
        "continuation-of-nothing",
        "noise",
    ],
)
def test_frame_that_is_none_of_ours_ends_the_connection(at: Listening, sent: bytes, code: int) -> None:
    """Each offence has its close code, and the socket is closed."""
    with bare_websocket(at, at.enrolled()) as tls:
        tls.sendall(sent)
        assert close_code(all_of(tls)) == code


def test_truncated_frame_is_no_message(at: Listening) -> None:
    """A frame whose end never comes is nothing: no answer, and the agent is gone when the socket is."""
    identity = at.enrolled()
    with bare_websocket(at, identity) as tls:
        tls.sendall(frame(wire.encode_ws(said(identity.agent)))[:-1])
        tls.settimeout(0.2)
        with pytest.raises(TimeoutError):
            tls.recv(1)


@pytest.mark.parametrize(
    "payload",
    [b"\x01hello", b"\x00" + b"\xff" * 50, wire.encode_ws(opamp_pb2.AgentToServer(sequence_num=1)), b""],
    ids=["header-one", "garbage", "nobody", "empty"],
)
def test_garbage_is_answered_as_a_bad_request(at: Listening, payload: bytes) -> None:
    """What is no message of an agent gets a bad request, and the connection stays usable."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        connection.send(payload)
        error = heard(connection).error_response
        assert error.type == opamp_pb2.ServerErrorResponseType_BadRequest
        assert tell(connection, said(identity.agent)).instance_uid == identity.agent.raw


def test_fragmented_message_is_read_as_one(at: Listening) -> None:
    """Fragments are allowed: they are joined, not refused."""
    identity = at.enrolled()
    payload = wire.encode_ws(said(identity.agent, agent_description=description()))
    with websocket(at, identity) as connection:
        connection.send([payload[:3], payload[3:9], payload[9:]])
        assert heard(connection).instance_uid == identity.agent.raw


def test_stranger_cannot_fill_memory(at: Listening) -> None:
    """A peer with a mere token is cut off at a small size."""
    with websocket(at, token="any.token") as connection:
        connection.send(bytes(70_000))
        assert close_of(connection)[0] == CloseCode.MESSAGE_TOO_BIG


def _post(pool: urllib3.HTTPSConnectionPool, body: bytes, **headers: str) -> urllib3.BaseHTTPResponse:
    return pool.request("POST", PATH, body=body, headers={"Content-Type": wire.CONTENT_TYPE, **headers})


def test_oversized_post_is_413(at: Listening) -> None:
    """A body over the cap is refused with the status of its error class."""
    with http_client(at, at.enrolled()) as pool:
        assert _post(pool, bytes(MAX_BYTES + 1)).status == 413 == answer_for(OversizedError("x")).status


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xff" * 20, {}),
        (b"plain", {"Content-Encoding": "gzip"}),
        (b"x", {"Content-Encoding": "br"}),
        (b"", {}),
    ],
    ids=["garbage", "no-gzip", "brotli", "empty"],
)
def test_garbage_post_is_400(at: Listening, body: bytes, headers: dict[str, str]) -> None:
    """A body that is no message is a bad request, said in the body too."""
    with http_client(at, at.enrolled()) as pool:
        response = _post(pool, body, **headers)
    assert response.status == 400 == answer_for(MalformedError("x")).status
    assert answer(response).error_response.type == opamp_pb2.ServerErrorResponseType_BadRequest


def test_request_that_is_no_http_is_400(at: Listening) -> None:
    """What does not parse as HTTP is answered and closed."""
    context = at.client_tls(at.enrolled())
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(b"\x16\x03\x01garbage\r\n\r\n")
        assert all_of(tls).startswith(b"HTTP/1.1 400 ")


def test_silent_connection_is_closed(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and sends no request is not waited for."""
    monkeypatch.setattr("distribution.transport.heads.HEAD_SECONDS", 0.05)
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        at.client_tls().wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        assert all_of(tls) == b""


@pytest.mark.parametrize(
    "head",
    [
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    ],
    ids=["no-key", "bad-key", "no-version"],
)
def test_handshake_that_is_none_is_400(at: Listening, head: str) -> None:
    """An upgrade that breaks the rules is refused, and the connection closed."""
    context = at.client_tls(at.enrolled())
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        tls.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n{upgrade}{head}\r\n".encode())
        assert all_of(tls).startswith(b"HTTP/1.1 400 ")
