"""Threat: whoever has no credential holds the places of those who come for one, or their place in a line."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvloop

from distribution.transport import handshakes, hub, peer
from distribution.transport.gate import Bounds, Gate
from tests.fakes.besieged_agent import wait_until
from tests.fakes.certificates import csr, new_key
from tests.fakes.gate_host import Host, Taken
from tests.fakes.listening import Identity, Listening, listening
from tests.fakes.server_tls import server_tls
from tests.fakes.wire_client import (
    WAIT_SECONDS,
    answer,
    http_client,
    post,
    request_for,
    said,
    tell,
    websocket,
)
from tests.unit.transport.test_gate import hung_up, until, use_up


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path) as here:
        yield here


def stranger(at: Listening, identity: Identity | None = None) -> ssl.SSLSocket:
    """Connect, without a certificate by default, and say nothing."""
    plain = socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS)
    return at.client_tls(identity).wrap_socket(plain, server_hostname="127.0.0.1")


def is_over(tls: ssl.SSLSocket) -> bool:
    """Whether the other side ends the connection."""
    try:
        return tls.recv(1) == b""
    except ConnectionError:
        return True


def test_strangers_who_hold_every_place(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """They make room, the oldest first, for one who enrolls and for one who has a bearer token."""
    monkeypatch.setattr(peer, "STRANGERS_MAX", 3)
    who, holder = at.new_agent(), at.new_agent()
    presented = at.work.bearer(holder, "of-a-bridge")
    with ExitStack() as open_:
        idle = [open_.enter_context(stranger(at)) for _ in range(3)]
        wait_until(lambda: at.hub.strangers == 3)
        with http_client(at) as pool:
            asking = request_for(csr(new_key(), who))
            message = said(who, connection_settings_request=asking)
            assert answer(post(pool, message, token=at.work.token("good"))).HasField("connection_settings")
        with websocket(at, bearer=presented) as connection:
            assert not tell(connection, said(holder)).HasField("error_response")
        assert is_over(idle[0])


def test_one_certificate_that_holds_every_place(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """One agent has so many connections and no more; the oldest goes, the others' stay."""
    monkeypatch.setattr(hub, "LINKS_MAX", 3)
    one, other = at.enrolled(), at.enrolled()
    with ExitStack() as open_, websocket(at, other) as others:
        held = [open_.enter_context(stranger(at, one)) for _ in range(3)]
        wait_until(lambda: len(at.hub) == 4)
        held.append(open_.enter_context(stranger(at, one)))
        assert is_over(held[0])
        wait_until(lambda: len(at.hub) == 4)
        assert not tell(others, said(other.agent)).HasField("error_response")


def at_a_gate(tmp_path: Path, story: Callable[[Gate, Host], Awaitable[None]], bounds: Bounds) -> None:
    """Tell a story at an open gate."""
    context, ca_file = server_tls(tmp_path)

    async def main() -> None:
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

    uvloop.run(main())


def test_one_address_that_stands_in_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an address whose handshakes come to nothing few wait; the rest are hung up on, none is queued."""
    monkeypatch.setattr(handshakes, "DELAYED_MAX", 2)

    async def story(gate: Gate, host: Host) -> None:
        use_up(gate)
        waiting = [host.plain(b"\x16") for _ in range(2)]
        await until(lambda: gate.handshakes.delayed == 2)
        assert await hung_up(host.plain(b"\x16"))
        assert (gate.handshakes.delayed, gate.handshakes.waiting, len(waiting)) == (2, 0, 2)
        await until(lambda: gate.handshakes.delayed == 0)  # their turn comes
        waiting.append(host.plain(b"\x16"))
        await until(lambda: gate.handshakes.under_way + gate.handshakes.delayed == 3)

    at_a_gate(tmp_path, story, Bounds())


def test_one_address_with_many_half_done_handshakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps its own waiting: a place is left for another address, at once, and nobody loses his."""
    monkeypatch.setattr(handshakes, "FAIR_SECONDS", 3600.0)

    async def story(gate: Gate, host: Host) -> None:
        half_done = [host.plain(b"\x16", "127.0.0.2") for _ in range(400)]
        await until(lambda: gate.arrivals.held == 400 and gate.silent == 0)
        assert (gate.handshakes.under_way, gate.handshakes.waiting) == (75, 325)
        await host.tls()
        await until(lambda: host.taken)
        assert (gate.handshakes.waiting, gate.handshakes.failed, len(half_done)) == (325, 0, 400)

    at_a_gate(tmp_path, story, Bounds())


def test_addresses_that_hold_every_place_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is left, the newcomer's turn comes before those who wait behind others of their address."""
    monkeypatch.setattr(handshakes, "FAIR_SECONDS", 0.0)

    async def story(gate: Gate, host: Host) -> None:
        attackers = "127.0.0.2", "127.0.0.3"
        half_done = [host.plain(b"\x16", attackers[n % 2]) for n in range(24)]
        await until(lambda: gate.handshakes.under_way == 4 and gate.handshakes.waiting == 20)
        coming = asyncio.create_task(host.tls())
        await until(lambda: host.taken)
        await coming
        assert gate.handshakes.waiting > 8
        assert len(half_done) == 24

    at_a_gate(tmp_path, story, Bounds(handshakes=4))
