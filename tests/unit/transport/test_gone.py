"""What a connection held is free once it is gone, without the garbage collector."""

import gc
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from distribution.transport.front import Front
from distribution.transport.peer import PeerHttpProtocol
from distribution.transport.sealed import SealedTransport
from distribution.transport.websocket import AgentSocket
from tests.fakes.besieged_agent import wait_until
from tests.fakes.in_process import UPGRADE
from tests.fakes.listening import PATH, Identity, Listening, listening

KINDS = (Front, PeerHttpProtocol, AgentSocket, FlowControl, SealedTransport, ssl.SSLObject)
POST = (
    f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1\r\n\r\nx"
)


def held() -> Counter[str]:
    """Count what connections are made of, garbage included."""
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, KINDS))


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path) as at:
        yield at


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Garbage stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def came_and_went(at: Listening, identity: Identity | None, says: bytes) -> bytes:
    """Connect, say something, and leave; return the first line of the answer, if something was said."""
    tls = at.client_tls(identity)
    with (
        socket.create_connection(("127.0.0.1", at.port)) as plain,
        tls.wrap_socket(plain, server_hostname="127.0.0.1") as sealed,
    ):
        sealed.sendall(says)
        return sealed.recv(1000).partition(b"\r\n")[0] if says else b""


@pytest.mark.parametrize(
    ("says", "status"),
    [(b"", b""), (POST.encode(), b"401"), (UPGRADE, b"101")],
    ids=["silent", "refused", "upgraded"],
)
def test_nothing_is_left_of_a_connection(
    at: Listening, uncollected: None, says: bytes, status: bytes
) -> None:
    """Neither its protocols nor TLS's state wait for the collector."""
    identity = at.enrolled() if says is UPGRADE else None
    before = held()
    for _ in range(3):
        assert status in came_and_went(at, identity, says)
    wait_until(lambda: held() <= before)
