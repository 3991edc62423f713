"""Bytes that no client library would send, over TLS to a listener, and what comes back as it is."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.listening import PATH, Identity, Listening
from tests.fakes.wire_client import WAIT_SECONDS


@contextmanager
def bare(at: Listening, identity: Identity) -> Iterator[ssl.SSLSocket]:
    """Finish the handshake, and nothing more."""
    context = at.client_tls(identity)
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        yield tls


@contextmanager
def bare_websocket(at: Listening, identity: Identity) -> Iterator[ssl.SSLSocket]:
    """Upgrade by hand, to send what no client library would."""
    with bare(at, identity) as tls:
        tls.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += tls.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        yield tls


def all_of(tls: ssl.SSLSocket) -> bytes:
    """Read until the server ends the connection."""
    found = b""
    try:
        while part := tls.recv(65_536):
            found += part
    except (ConnectionResetError, ssl.SSLEOFError):
        pass
    return found


def close_code(written: bytes) -> int:
    """Return the code of the close frame that ends what the server wrote."""
    position = 0
    while written[position] != 0x88:
        position += 2 + written[position + 1]
    return int.from_bytes(written[position + 2 : position + 4], "big")
