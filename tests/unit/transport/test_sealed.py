"""transport/sealed.py, on real sockets with a real other end; how it ends is in test_sealed_ends.py."""

import asyncio
import os
import ssl
from functools import partial
from pathlib import Path

import pytest
import uvloop

from distribution.transport.sealed import SealedTransport
from tests.fakes.sealed_pair import Heard, HeardInBuffer, Make, Teller, both_ends, everything, turns

MUCH = os.urandom(4 << 20)


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
        SealedTransport(here, protocol, turns())
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
