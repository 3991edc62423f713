"""transport/load_metrics.py: what a scraper reads of the load."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import uvloop
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from distribution.domain.buckets import Rate
from distribution.errors import TurnedAwayError
from distribution.transport.gate import Bounds, Gate
from distribution.transport.listeners import Listener
from distribution.transport.load import Enrollments, Load
from distribution.transport.load_metrics import LoadCollector
from tests.fakes import metric_names
from tests.fakes.gate_host import Host, Taken
from tests.fakes.listening import prepared
from tests.fakes.server_tls import server_tls
from tests.unit.transport.test_gate import hung_up, until, use_up

FEW = Enrollments(together=Rate(0.001, 1), per_address=Rate(0.001, 2))


def scraped(registry: CollectorRegistry) -> str:
    """Return what a scraper gets; every family says what it is and of which type."""
    text = generate_latest(registry).decode()
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("counter", "gauge")
        shown = family.name + ("_total" if family.type == "counter" else "")
        assert shown in metric_names.LOAD
    return text


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    with prepared(tmp_path / "listener") as (_, config):
        return Listener("agents", config)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "listener").mkdir()


def of_a_gate(
    tmp_path: Path, listener: Listener, story: Callable[[Gate, Host], Coroutine[object, object, str]]
) -> str:
    """Tell a story at an open gate of this listener; return what it returns."""
    context, ca_file = server_tls(tmp_path)

    async def main() -> str:
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        host = Host(bound.getsockname()[1], ca_file)
        gate = Gate("agents", bound, context, lambda ticket: Taken(ticket, host.taken), Bounds(handshakes=1))
        listener.gate = gate
        gate.open()
        try:
            return await story(gate, host)
        finally:
            gate.close()
            host.close()

    return uvloop.run(main())


def test_connections_and_handshakes_of_each_listener(tmp_path: Path, listener: Listener) -> None:
    """Where connections stand now, and how many were not let through, by reason."""
    registry = CollectorRegistry()
    registry.register(LoadCollector([listener], Load(lambda: 0.0, FEW, bool)))
    assert "quartermaster_connections{" not in scraped(registry)  # it has no gate before it starts

    async def story(gate: Gate, host: Host) -> str:
        assert await hung_up(host.plain(b"no"))
        host.plain(b"\x16")
        await until(lambda: gate.handshakes.under_way == 1)
        for _ in range(2):
            host.plain(b"\x16")
        await until(lambda: gate.handshakes.waiting == 2)
        host.plain()
        await until(lambda: gate.silent == 1)
        use_up(gate)
        host.plain(b"\x16")
        await until(lambda: gate.handshakes.delayed == 1)
        return await asyncio.to_thread(scraped, registry)

    text = of_a_gate(tmp_path, listener, story)
    assert 'quartermaster_connections{listener="agents"} 5.0' in text
    assert 'quartermaster_connections_silent{listener="agents"} 1.0' in text
    for state, count in (("under_way", 1), ("waiting", 2), ("delayed", 1)):
        assert f'quartermaster_handshakes{{listener="agents",state="{state}"}} {count}.0' in text
    refused = 'quartermaster_connections_refused_total{listener="agents",reason='
    assert refused + '"no_tls"} 1.0' in text
    for reason in ("no_room", "per_address", "silent", "handshake_failed"):
        assert refused + f'"{reason}"}} 0.0' in text


def test_newcomers_that_were_turned_away() -> None:
    """Each is counted under its reason, and how strained the server is can be seen beside it."""
    away = [None, None, "database is away"]
    load = Load(lambda: 0.0, FEW, lambda token: token == "good", lambda: away.pop() if away else None)
    registry = CollectorRegistry()
    registry.register(LoadCollector([], load))

    def refused(origin: str, token: str | None) -> None:
        with pytest.raises(TurnedAwayError):
            load.let_in(origin, token)

    refused("a", "good")  # no certificates
    load.let_in("a", "good")
    refused("b", "good")  # together
    load.let_in("a", "guess")
    refused("a", "guess")  # address
    refused("b", "guess")  # made up
    load.late = 2.5
    refused("c", None)  # overloaded
    load.oldest_order = lambda: 7.0
    before = scraped(registry)
    load.begin_end(10.0, 10.0)
    refused("c", None)  # stops
    text = scraped(registry)
    for reason in ("no_certificates", "together", "address", "made_up", "overloaded", "stops"):
        assert f'quartermaster_newcomers_turned_away_total{{reason="{reason}"}} 1.0' in text
    assert "quartermaster_loop_late_seconds 2.5" in text
    assert "quartermaster_oldest_order_seconds 7.0" in text
    assert "quartermaster_draining 0.0" in before
    assert "quartermaster_draining 1.0" in text
