"""Threat: whoever begins TLS handshakes and does not go on with them holds the places that all need."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from distribution.transport import handshakes
from distribution.transport.gate import Bounds, Gate
from tests.fakes.gate_host import Host, Taken
from tests.fakes.server_tls import server_tls
from tests.unit.transport.test_gate import until

HONEST, NEIGHBOUR = "127.0.0.1", "127.0.9.99"
NEVER = 3600.0

Story = Callable[[Gate, Host], Coroutine[Any, Any, None]]


def at_a_gate(tmp_path: Path, story: Story, bounds: Bounds) -> None:
    """Tell a story at an open gate; the loop is told of no fault, and nothing is left of any connection."""
    context, ca_file = server_tls(tmp_path)
    faults: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        host = Host(bound.getsockname()[1], ca_file)
        gate = Gate("test", bound, context, lambda ticket: Taken(ticket, host.taken), bounds)
        gate.open()
        try:
            await story(gate, host)
        finally:
            gate.close()
            host.close()
            await until(lambda: gate.arrivals.held == 0)

    uvloop.run(main())
    assert faults == []


def hello() -> bytes:
    """Return a client's first words, which a server answers before it waits for more."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(coming, going, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return going.read()


async def hung_up(sock: socket.socket) -> bool:
    """Whether the other side closes the connection, after what it had said."""

    def end() -> bool:
        try:
            while sock.recv(65_536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    return await asyncio.to_thread(end)


def test_two_addresses_that_would_hold_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together they leave places: the next address is greeted at once, and nobody had to lose his for it."""
    monkeypatch.setattr(handshakes, "FAIR_SECONDS", NEVER)
    monkeypatch.setattr(handshakes, "GREEDY_SECONDS", NEVER)

    async def story(gate: Gate, host: Host) -> None:
        words = hello()
        for source in ("127.0.9.1", "127.0.9.2"):
            before = gate.handshakes.under_way + gate.handshakes.waiting
            half_done = [host.plain(words, source) for _ in range(150)]
            there = before + len(half_done)
            await until(lambda there=there: gate.handshakes.under_way + gate.handshakes.waiting == there)  # type: ignore[misc]
        assert (gate.handshakes.under_way, gate.handshakes.waiting) == (75 + 19, 300 - 94)
        for source in (HONEST, NEIGHBOUR):
            await host.tls(source)
        await until(lambda: len(host.taken) == 2)
        assert gate.handshakes.failed == 0

    at_a_gate(tmp_path, story, Bounds())


def test_a_network_that_holds_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a hundred addresses of one network: another network's first comer gets a slow one's place soon."""
    monkeypatch.setattr(handshakes, "FAIR_SECONDS", NEVER)
    monkeypatch.setattr(handshakes, "GREEDY_SECONDS", 0.05)

    async def story(gate: Gate, host: Host) -> None:
        words = hello()
        slow = [host.plain(words, f"127.0.9.{number + 1}") for number in range(120)]
        await until(lambda: gate.handshakes.under_way == 100 and gate.handshakes.waiting == 20)
        await host.tls()
        await until(lambda: host.taken)
        assert await hung_up(slow[0])
        assert (gate.handshakes.under_way, gate.handshakes.failed) == (100, 1)

    at_a_gate(tmp_path, story, Bounds())


def test_neighbours_are_not_locked_out_by_their_own_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the slow ones share its network, an honest agent waits a little longer, and is served."""
    monkeypatch.setattr(handshakes, "FAIR_SECONDS", 0.05)
    monkeypatch.setattr(handshakes, "GREEDY_SECONDS", NEVER)

    async def story(gate: Gate, host: Host) -> None:
        slow = [host.plain(hello(), f"127.0.9.{number % 6 + 1}") for number in range(60)]
        await until(lambda: gate.handshakes.under_way == 8)
        await host.tls(NEIGHBOUR)
        await until(lambda: host.taken)
        assert len(slow) == 60

    at_a_gate(tmp_path, story, Bounds(handshakes=8))


def test_a_byte_now_and_then_does_not_keep_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the peer is waited for adds up: dribbling is as slow as silence."""
    monkeypatch.setattr(handshakes, "FAIR_SECONDS", 0.2)

    async def story(gate: Gate, host: Host) -> None:
        words, dripping = hello(), host.plain(b"", "127.0.9.1")
        said = 0

        async def drip() -> None:
            nonlocal said
            while said < len(words):
                dripping.send(words[said : said + 1])
                said += 1
                await asyncio.sleep(0.02)

        dribbling = asyncio.create_task(drip())
        await until(lambda: gate.handshakes.under_way == 1)
        await host.tls()
        await until(lambda: host.taken)
        assert said < len(words)
        dribbling.cancel()
        assert await hung_up(dripping)

    at_a_gate(tmp_path, story, Bounds(handshakes=1))


def test_who_has_answered_is_not_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However late it is: what he said is here, and only waits to be read."""
    monkeypatch.setattr(handshakes, "FAIR_SECONDS", NEVER)
    monkeypatch.setattr(handshakes, "GREEDY_SECONDS", NEVER)

    async def story(gate: Gate, host: Host) -> None:
        said = host.plain(hello(), "127.0.9.1")
        host.plain(hello(), "127.0.9.2")
        await until(lambda: (gate.handshakes.under_way, gate.handshakes.waiting) == (1, 1))
        await asyncio.to_thread(said.recv, 1)  # our part of it
        await until(lambda: any(one.pace.waited(time.monotonic()) for one in gate.handshakes._begun))
        said.sendall(b"\x14\x03\x03\x00\x01")  # the beginning of an answer
        monkeypatch.setattr(handshakes, "FAIR_SECONDS", 0.0)
        gate.handshakes.end_slow()
        assert gate.handshakes.failed == 0
        await until(lambda: gate.handshakes.failed == 1)  # it is no more than a beginning
        assert await hung_up(said)

    at_a_gate(tmp_path, story, Bounds(handshakes=1))


def test_a_process_that_stood_still_blames_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever time has passed: the next look, when all that came has been read, is the first that counts."""
    monkeypatch.setattr(handshakes, "FAIR_SECONDS", 0.3)
    looks: list[int] = []

    async def story(gate: Gate, host: Host) -> None:
        looked = gate.handshakes._next
        monkeypatch.setattr(
            gate.handshakes, "_next", lambda: (looks.append(gate.handshakes.failed), looked())[1]
        )
        first = host.plain(hello(), "127.0.9.1")
        host.plain(hello(), "127.0.9.2")
        await until(lambda: (gate.handshakes.under_way, gate.handshakes.waiting) == (1, 1))
        looks.clear()
        time.sleep(1.0)  # noqa: ASYNC251 - the process stands still
        await until(lambda: gate.handshakes.failed == 1)
        assert looks[0] == 0
        assert await hung_up(first)

    at_a_gate(tmp_path, story, Bounds(handshakes=1))


def test_many_agents_behind_one_address_have_all_places_but_a_few(tmp_path: Path) -> None:
    """Where nobody else waits, one address is as good as any: three of four places, and nobody loses his."""

    async def story(gate: Gate, host: Host) -> None:
        coming = [asyncio.create_task(host.tls(HONEST)) for _ in range(60)]
        await asyncio.gather(*coming)
        await until(lambda: len(host.taken) == 60)
        assert gate.handshakes.failed == 0

    at_a_gate(tmp_path, story, Bounds(handshakes=8))


def test_a_gate_that_closes_leaves_no_handshake_behind(tmp_path: Path) -> None:
    """Neither one that waits for its turn, nor one that was about to begin, nor one in the middle."""

    async def story(gate: Gate, host: Host) -> None:
        begun = host.plain(hello())
        await until(lambda: gate.handshakes.under_way == 1)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.settimeout(5)
        ticket = gate.arrivals.enter(NEIGHBOUR)
        gate.handshakes.take(ours, ticket)
        gate.close()
        with theirs:
            assert await hung_up(theirs)
        assert await hung_up(begun)
        await until(lambda: gate.arrivals.held == 0)

    at_a_gate(tmp_path, story, Bounds())
