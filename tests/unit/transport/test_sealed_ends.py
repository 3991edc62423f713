"""How a connection of transport/sealed.py ends, on real sockets with a real other end."""

import asyncio
import contextlib
import os
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from distribution.transport import sealed
from distribution.transport.sealed import SealedTransport
from tests.fakes.sealed_pair import Heard, HeardInBuffer, Teller, both_ends, everything, turns

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


def test_last_words_reach_a_peer_whose_own_were_not_heard(tell: Teller) -> None:
    """Much of what he said still waits with the kernel when we close: he gets our words all the same."""

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        protocol.transport.pause_reading()
        await asyncio.to_thread(client.sendall, MUCH[:200_000])
        protocol.transport.write(b"enough")
        protocol.transport.close()
        assert await asyncio.to_thread(everything, client) == b"enough"
        assert protocol.data == b""

    tell(story)


def test_who_ends_and_takes_nothing_is_left(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something is owed to him, and nothing of it goes: the socket is not kept for him."""
    monkeypatch.setattr(sealed, "STUCK_SECONDS", 0.05)

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        while protocol.transport.get_write_buffer_size() < len(MUCH):
            protocol.transport.write(bytes(50_000))
        client.shutdown(socket.SHUT_WR)
        assert await asyncio.wait_for(protocol.lost, 5) is None

    tell(story, SO_SNDBUF=5000, SO_RCVBUF=5000)


def test_who_takes_it_slowly_gets_all_of_it(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is owed when we close goes on as long as any of it goes."""
    monkeypatch.setattr(sealed, "STUCK_SECONDS", 0.2)

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        parts = [MUCH[start : start + 10_000] for start in range(0, 500_000, 10_000)]
        for part in parts:
            protocol.transport.write(part)
        protocol.transport.close()
        began, got = asyncio.get_running_loop().time(), bytearray()
        while len(got) < 500_000:
            got += await asyncio.to_thread(client.recv, 10_000)
            await asyncio.sleep(0.01)  # a slow peer is what this is about
        assert got == MUCH[:500_000]
        assert asyncio.get_running_loop().time() - began > sealed.STUCK_SECONDS

    tell(story, SO_SNDBUF=5000, SO_RCVBUF=5000)


@pytest.mark.parametrize("call", ["get_buffer", "buffer_updated", "eof_received", "resume_writing"])
def test_a_fault_in_any_call_ends_its_connection_alone(tell: Teller, call: str) -> None:
    """The loop is told once, the protocol that it lost its connection; nothing is called again and again."""
    faults: list[dict[str, Any]] = []

    def fail(*_words: object) -> None:
        raise LookupError(call)

    async def story(protocol: Heard, client: ssl.SSLSocket) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, told: faults.append(told))
        setattr(protocol, call, fail)
        if call == "resume_writing":
            while "pause" not in protocol.notes:
                protocol.transport.write(bytes(1 << 16))
            with contextlib.suppress(OSError):
                await asyncio.to_thread(everything, client)
        elif call == "eof_received":
            client.shutdown(socket.SHUT_WR)
        else:
            client.send(b"x")
        await asyncio.wait_for(asyncio.shield(protocol.lost), 10)

    tell(story)
    assert [str(told["exception"]) for told in faults] == [call]


def test_many_ends_take_turns(tls: tuple[ssl.SSLContext, Path]) -> None:
    """Two hundred peers leave at once, and each protocol's part in it is dear: none of the turns is long."""

    async def tale() -> None:
        watch = turns()
        ends = [await both_ends(*tls) for _ in range(200)]
        protocols = [Dear() for _ in ends]
        for (here, _), protocol in zip(ends, protocols, strict=True):
            SealedTransport(here, protocol, watch)
        for _, client in ends:
            client.close()
        most = before = 0
        while before < len(ends):
            await asyncio.sleep(0)
            now = sum(protocol.lost.done() for protocol in protocols)
            most, before = max(most, now - before), now
        assert most < 20
        assert all(protocol.notes == ["made", "end", "lost"] for protocol in protocols)

    uvloop.run(tale())


class Dear(HeardInBuffer):
    """Uses half a millisecond of the core for its end."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        super().connection_lost(exc)
        until = time.perf_counter() + 0.0005
        while time.perf_counter() < until:
            pass
