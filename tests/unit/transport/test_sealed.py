"""transport/sealed.py, on real sockets with a real other end."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
import uvloop

from distribution.transport import sealed
from distribution.transport.sealed import SealedTransport
from tests.fakes.sealed_pair import Heard, HeardInBuffer, both_ends
from tests.fakes.server_tls import server_tls

Story = Callable[[Heard, ssl.SSLSocket], Coroutine[Any, Any, None]]
Make = Callable[[], Heard]

MUCH = os.urandom(4 << 20)


class Teller(Protocol):
    """Tells a story about a connection whose protocol is made by `make`."""

    def __call__(self, story: Story, make: Make = ..., **options: int) -> None: ...


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    return server_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tell(tls: tuple[ssl.SSLContext, Path]) -> Teller:
    """Tells a story."""

    def told(story: Story, make: Make = HeardInBuffer, **options: int) -> None:
        async def tale() -> None:
            here, client = await both_ends(*tls, **options)
            protocol = make()
            SealedTransport(here, protocol)
            try:
                await story(protocol, client)
            finally:
                client.close()
                protocol.transport.abort()
                await protocol.lost
            assert here.fileno() == -1
            assert protocol.notes.count("lost") == 1

        uvloop.run(tale())

    return told


def everything(client: ssl.SSLSocket) -> bytes:
    """Read to the other side's goodbye."""
    return b"".join(iter(partial(client.recv, 65_536), b""))


@pytest.mark.parametrize("make", [Heard, HeardInBuffer, partial(HeardInBuffer, 100)])
def test_bytes_go_both_ways(tell: Teller, make: Make) -> None:
    """Whatever the protocol reads with, and however small its buffer, all of it comes, and goes."""

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        sent = MUCH[:300_000]
        await asyncio.to_thread(client.sendall, sent)
        await protocol.until(lambda: len(protocol.data) == len(sent))
        assert protocol.data == sent
        protocol.transport.writelines([b"and ", b"", b"back"])
        assert client.recv(100) == b"and back"
        assert protocol.notes == ["made"]

    tell(story, make)


def test_a_peer_that_does_not_read_is_told_of(tell: Teller) -> None:
    """Beyond the bound the protocol pauses; once the peer reads it goes on, and nothing is lost."""

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        transport = protocol.transport
        transport.set_write_buffer_limits(1000)
        parts = [MUCH[start : start + 100_000] for start in range(0, len(MUCH), 100_000)]
        for part in parts:
            transport.write(part)
        assert protocol.notes == ["made", "pause"]
        owed = transport.get_write_buffer_size()
        assert 1000 < owed <= len(MUCH)
        got = bytearray()
        while len(got) < len(MUCH):
            got += await asyncio.to_thread(client.recv, 65_536)
        assert got == MUCH
        await protocol.until(lambda: protocol.notes == ["made", "pause", "resume"])
        assert transport.get_write_buffer_size() == 0

    tell(story, SO_SNDBUF=20_000, SO_RCVBUF=20_000)


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


def test_who_is_not_heard_keeps_what_he_says(tell: Teller) -> None:
    """Paused: nothing is handed on; resumed: all of it, the part that OpenSSL has opened already too."""

    class Shy(HeardInBuffer):
        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            self.transport.pause_reading()

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        client.send(b"0123456789")
        for size in (4, 8, 10):
            await protocol.until(lambda size=size: len(protocol.data) == size)  # type: ignore[misc]
            assert not protocol.transport.is_reading()
            protocol.transport.pause_reading()
            protocol.transport.resume_reading()
            assert protocol.transport.is_reading()
        assert protocol.data == b"0123456789"

    tell(story, partial(Shy, 4))


def test_a_protocol_may_give_way_to_another(tell: Teller) -> None:
    """What comes after is the other's, whichever kind either is."""

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        other = HeardInBuffer()
        client.send(b"a")
        await protocol.until(lambda: protocol.data)
        protocol.transport.set_protocol(other)
        client.send(b"b")
        await other.until(lambda: other.data)
        assert (protocol.data, other.data) == (b"a", b"b")
        protocol.transport.set_protocol(protocol)

    tell(story, Heard)


def test_a_protocol_may_refuse_the_connection(tls: tuple[ssl.SSLContext, Path]) -> None:
    """Closed or not to be heard when it is made: nothing is read."""

    class Refusing(Heard):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.close()

    async def tale() -> None:
        here, client = await both_ends(*tls)
        client.send(b"hello")
        protocol = Refusing()
        SealedTransport(here, protocol)
        assert await asyncio.to_thread(everything, client) == b""
        client.close()
        await protocol.lost
        assert protocol.notes == ["made", "lost"]

    uvloop.run(tale())


def test_it_tells_what_others_of_its_kind_tell(tell: Teller) -> None:
    """Socket, addresses, context and the TLS object, by asyncio's names; nothing once it is gone."""

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        told = protocol.transport.get_extra_info
        assert told("ssl_object") is told("socket")
        assert told("ssl_object").version() == "TLSv1.3"
        assert told("sslcontext") is told("socket").context
        assert (told("peername"), told("sockname")) == (client.getsockname(), client.getpeername())
        assert (told("colour"), told("colour", "none")) == (None, "none")
        assert not protocol.transport.can_write_eof()
        assert not protocol.transport.is_closing()
        protocol.transport.abort()
        await protocol.lost
        assert told("peername", "gone") == "gone"

    tell(story)


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
