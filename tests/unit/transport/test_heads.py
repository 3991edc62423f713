"""transport/heads.py, over real TLS on loopback."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distribution.transport import heads, peer
from tests.fakes.listening import Listening, listening
from tests.fakes.wire_client import WAIT_SECONDS

_BEGIN = b"POST /v1/opamp HTTP/1.1\r\nHost: x\r\n"
_CHUNKED = _BEGIN + b"Transfer-Encoding: chunked\r\n\r\n"
_FLOOD_BYTES = 8 << 20


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path) as here:
        yield here


def _taken(at: Listening, begin: bytes, piece: bytes) -> int:
    """Send `begin` and then `piece` again and again; return how many bytes could be sent before the end."""
    sent = 0
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        at.client_tls().wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        try:
            tls.sendall(begin)
            while sent < _FLOOD_BYTES:
                tls.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
    return sent


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"GET /", b"a" * 16_384),
        (_BEGIN + b"X-Long: ", b"a" * 16_384),
        (_BEGIN, b"a:b\r\n" * 4096),
        (_CHUNKED + b"0\r\n", b"a:b\r\n" * 4096),
        (_CHUNKED + b"1;", b"a" * 16_384),
    ],
    ids=["address", "one header", "many headers", "trailers", "chunk extension"],
)
def test_head_without_end_is_cut_off(at: Listening, begin: bytes, piece: bytes) -> None:
    """Whoever sends a head that never ends is gone long before it is large."""
    assert _taken(at, begin, piece) < _FLOOD_BYTES


def test_large_body_is_no_head(at: Listening) -> None:
    """Bytes of a body are counted by whoever reads it."""
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        at.client_tls().wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(_BEGIN + f"Content-Length: {4 * heads.HEAD_MAX_BYTES}\r\n\r\n".encode())
        tls.sendall(bytes(4 * heads.HEAD_MAX_BYTES))
        assert tls.recv(13) == b"HTTP/1.1 415 "


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n",
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
    ],
    ids=["empty line", "endless body"],
)
def test_stranger_does_not_stay(at: Listening, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """An empty line after an answer, or a body that never ends, does not hold a place for ever."""
    monkeypatch.setattr(peer, "STRANGER_SECONDS", 0.05)
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        at.client_tls().wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(sent)
        assert tls.recv(9) == b"HTTP/1.1 "
        _until(lambda: len(at.hub) == 1)
        time.sleep(0.1)
        at.check_now()
        _until(lambda: len(at.hub) == 0)


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
