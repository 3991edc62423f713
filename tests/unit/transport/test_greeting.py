"""transport/greeting.py, on real sockets."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import uvloop

from distribution.transport.greeting import shake_hands
from tests.fakes.sealed_pair import SECONDS, both_ends, turns


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a connection; the first does not block."""
    here, there = socket.socketpair()
    here.setblocking(False)
    there.settimeout(SECONDS)
    return here, there


def failed(
    here: socket.socket, tls: ssl.SSLContext, error: type[Exception], seconds: float = SECONDS
) -> None:
    """Have a greeting fail with this error."""

    async def story() -> None:
        with pytest.raises(error):
            await shake_hands(here, tls, seconds, turns())

    uvloop.run(story())


def test_both_sides_agree(tls: tuple[ssl.SSLContext, Path]) -> None:
    """After it both speak TLS 1.3, and small answers are not held back."""

    async def story() -> None:
        here, client = await both_ends(*tls)
        with here, client:
            assert here.version() == client.version() == "TLSv1.3"
            assert here.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert not here.getblocking()

    uvloop.run(story())


def test_who_speaks_no_tls_is_hung_up_on(tls: tuple[ssl.SSLContext, Path]) -> None:
    """The error is TLS's, and the socket is closed."""
    here, there = pair()
    there.send(b"GET / HTTP/1.1\r\n\r\n")
    failed(here, tls[0], ssl.SSLError)
    with there, contextlib.suppress(ConnectionResetError):
        while there.recv(100):  # the alert that says why
            pass


def test_who_leaves_is_not_waited_for(tls: tuple[ssl.SSLContext, Path]) -> None:
    """An end in the middle of a handshake is its end."""
    here, there = pair()
    there.close()
    failed(here, tls[0], OSError)


def test_who_says_nothing_is_not_waited_for_long(tls: tuple[ssl.SSLContext, Path]) -> None:
    """The time is over, and the socket closed."""
    here, there = pair()
    failed(here, tls[0], TimeoutError, 0.02)
    with there:
        assert there.recv(1) == b""


def test_a_greeting_can_be_given_up(tls: tuple[ssl.SSLContext, Path]) -> None:
    """Cancelled in the middle, it leaves no socket behind and nothing in the loop."""
    here, there = pair()

    async def story() -> None:
        greeting = asyncio.create_task(shake_hands(here, tls[0], SECONDS, turns()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        greeting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await greeting

    uvloop.run(story())
    with there:
        assert there.recv(1) == b""


def test_a_socket_that_is_gone_is_an_error_like_others(tls: tuple[ssl.SSLContext, Path]) -> None:
    """Reset before it was looked at: an OSError, not a fault."""
    listening = socket.create_server(("127.0.0.1", 0))
    with listening, socket.create_connection(listening.getsockname()) as there:
        here, _ = listening.accept()
        here.setblocking(False)
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    failed(here, tls[0], OSError)
    assert here.fileno() == -1
