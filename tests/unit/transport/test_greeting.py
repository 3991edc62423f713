"""transport/greeting.py, on real sockets."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import uvloop

from tests.fakes.greeted import shake_hands
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
    """After it both speak TLS 1.3, and the socket is as it was: it does not block."""

    async def story() -> None:
        here, client = await both_ends(*tls)
        with here, client:
            assert here.version() == client.version() == "TLSv1.3"
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


RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"


def hello() -> bytes:
    """Return a client's first words."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(coming, going, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return going.read()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("how", ["reset", "end", "cancelled"])
def test_it_may_end_at_any_moment(tls: tuple[ssl.SSLContext, Path], share: float, how: str) -> None:
    """However much of the first words has come: an OSError, no socket is left, and no fault is told."""
    faults: list[object] = []

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, told: faults.append(told))
        words, listening = hello(), socket.create_server(("127.0.0.1", 0))
        with listening, socket.create_connection(listening.getsockname()) as there:
            here, _ = listening.accept()
            here.setblocking(False)
            greeting = asyncio.create_task(shake_hands(here, tls[0], SECONDS, turns()))
            there.send(words[: int(len(words) * share)])
            for _ in range(3):
                await asyncio.sleep(0)
            if how == "cancelled":
                greeting.cancel()
            elif how == "reset":
                there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            else:
                there.shutdown(socket.SHUT_WR)
            if how == "reset":
                there.close()
            with pytest.raises((OSError, asyncio.CancelledError)):
                await greeting
            assert here.fileno() == -1

    uvloop.run(story())
    assert faults == []


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(b"\x16\x03\x01\x40\x00\x01\x03\x00\x00" + bytes(16_380), id="a hello of 196,608 bytes"),
        pytest.param(b"\x16\x03\x01\x00\x01\x01" * 70_000, id="a hello in records of a byte"),
        pytest.param(b"\x16\x03\x01\x00\x00" * 1000, id="empty records"),
        pytest.param(b"\x14\x03\x03\x00\x01\x01" * 1000, id="changes of cipher without end"),
        pytest.param(hello() + b"\x17\x03\x03\x40\x00" + bytes(16_384), id="data before the keys"),
        pytest.param(hello() * 3, id="three hellos"),
    ],
)
def test_hostile_first_words_come_to_an_end(tls: tuple[ssl.SSLContext, Path], words: bytes) -> None:
    """TLS's error, and soon; what was sent in vain is not kept."""
    here, there = pair()

    def speak() -> None:
        with contextlib.suppress(OSError):
            there.sendall(words)
            while there.recv(65_536):
                pass

    async def story() -> None:
        speaking = asyncio.create_task(asyncio.to_thread(speak))
        with pytest.raises(ssl.SSLError):
            await shake_hands(here, tls[0], SECONDS, turns())
        await speaking

    uvloop.run(story())
    there.close()


@pytest.mark.parametrize("protocols", [["h2"], ["x" * 255], ["h2", "http/1.1"]])
def test_what_else_a_client_asks_for_is_not_in_the_way(
    tls: tuple[ssl.SSLContext, Path], protocols: list[str]
) -> None:
    """Protocols that we do not speak, and ours among them or not: the handshake is as ever."""

    async def story() -> None:
        trusting = ssl.create_default_context(cafile=str(tls[1]))
        trusting.set_alpn_protocols(protocols)
        here, client = await both_ends(*tls, trusting)
        with here, client:
            assert here.selected_alpn_protocol() in {None, "http/1.1"}
            assert here.version() == "TLSv1.3"

    uvloop.run(story())
