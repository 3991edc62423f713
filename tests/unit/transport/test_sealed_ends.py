"""How a connection of transport/sealed.py ends, on real sockets with a real other end."""

import asyncio
import contextlib
import os
import socket
import ssl
from typing import Any

import pytest

from distribution.transport import sealed
from tests.fakes.sealed_pair import Heard, Teller, everything

MUCH = os.urandom(4 << 20)


def test_what_is_owed_goes_before_the_goodbye(tell: Teller) -> None:
    """Closed with much unsent: the peer gets all of it, and then a proper end."""

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        protocol.transport.write(MUCH)
        protocol.transport.close()
        protocol.transport.write(b"too late")
        assert protocol.transport.is_closing()
        client.suppress_ragged_eofs = False
        assert await asyncio.to_thread(everything, client) == MUCH
        client.close()
        assert await protocol.lost is None

    tell(story)


def test_last_words_reach_a_peer_that_is_still_talking(tell: Teller) -> None:
    """Who is closed on while he sends gets the answer, no reset; what he still sends goes nowhere."""

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        await asyncio.to_thread(client.sendall, b"first")
        await protocol.until(lambda: protocol.data)
        protocol.transport.write(b"enough")
        protocol.transport.close()
        await asyncio.to_thread(client.sendall, MUCH)
        assert await asyncio.to_thread(everything, client) == b"enough"
        assert protocol.data == b"first"
        assert not protocol.lost.done()
        client.shutdown(socket.SHUT_RDWR)
        assert await protocol.lost is None

    tell(story)


def test_who_never_ends_is_not_waited_for_for_ever(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that neither reads our goodbye nor goes is left after a time."""
    monkeypatch.setattr(sealed, "LINGER_SECONDS", 0.05)

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        protocol.transport.close()
        assert await asyncio.wait_for(protocol.lost, 5) is None
        assert client.fileno() != -1

    tell(story)


def test_a_goodbye_waits_for_room(tell: Teller) -> None:
    """Closed while the socket takes nothing: the goodbye is said as soon as it does."""

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        while not protocol.transport.get_write_buffer_size():
            protocol.transport.write(bytes(1 << 16))
        protocol.transport.close()
        client.suppress_ragged_eofs = False
        await asyncio.to_thread(everything, client)

    tell(story, SO_SNDBUF=5000, SO_RCVBUF=5000)


def test_abort_is_at_once(tell: Teller) -> None:
    """Nothing more is written, and the protocol hears of it once."""

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        protocol.transport.write(MUCH)
        protocol.transport.abort()
        protocol.transport.abort()
        protocol.transport.close()
        assert await protocol.lost is None
        assert protocol.transport.get_protocol() is not protocol
        with contextlib.suppress(OSError):  # a record is cut in two, or the reset comes first
            assert len(await asyncio.to_thread(everything, client)) < len(MUCH)

    tell(story)


@pytest.mark.parametrize("politely", [True, False])
def test_the_peers_end_ends_it(tell: Teller, *, politely: bool) -> None:
    """With a goodbye or without one, it is the end, told once, and what was owed is still written."""

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        if politely:
            with contextlib.suppress(OSError):
                client.settimeout(0)
                client.unwrap()
        else:
            client.shutdown(socket.SHUT_WR)
        assert await protocol.lost is None
        assert protocol.notes == ["made", "end", "lost"]

    tell(story)


def test_what_is_no_record_ends_it(tell: Teller) -> None:
    """Bytes that OpenSSL cannot open end the connection with its error, which is no fault of ours."""
    faults: list[object] = []

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, told: faults.append(told))
        socket.socket.send(client, b"\x17\x03\x03\x00\x20" + bytes(32))
        assert isinstance(await protocol.lost, ssl.SSLError)
        assert protocol.notes == ["made", "lost"]

    tell(story)
    assert faults == []


def test_a_fault_of_the_protocol_ends_its_connection_alone(tell: Teller) -> None:
    """The loop is told which protocol failed, and goes on."""
    faults: list[dict[str, Any]] = []

    class Failing(Heard):
        def data_received(self, data: bytes) -> None:
            raise LookupError(data)

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, told: faults.append(told))
        client.send(b"x")
        assert isinstance(await protocol.lost, LookupError)
        assert faults[0]["protocol"] is protocol

    tell(story, Failing)


def test_nothing_is_written_to_who_gets_the_number_next(tell: Teller) -> None:
    """After its end a transport never touches its descriptor's number, which is another's then."""

    async def story(protocol: Heard, _client: ssl.SSLSocket) -> None:
        number = protocol.transport.get_extra_info("socket").fileno()
        protocol.transport.abort()
        await protocol.lost
        ends = {end.fileno(): end for end in socket.socketpair()}
        assert number in ends, "the system gives the lowest free number"
        other = next(end for mine, end in ends.items() if mine != number)
        protocol.transport.write(b"secret")
        protocol.transport.close()
        protocol.transport.resume_reading()
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(1)
        for end in ends.values():
            end.close()

    tell(story)
