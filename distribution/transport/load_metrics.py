"""What is measured of load: connections and handshakes of each listener, and who was turned away, and why.

Read when somebody asks, from any thread: numbers of the event loop's that are each whole at any moment. They
are of listeners and reasons, never of an address.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from distribution.transport.gate import Gate
from distribution.transport.listeners import Listener
from distribution.transport.load import Load


class LoadCollector(Collector):
    """Tells of these listeners, and of the load that the agents' one is under."""

    def __init__(self, listeners: Sequence[Listener], load: Load) -> None:
        self._listeners = listeners
        self._load = load

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges of this moment, and what was counted since the start."""
        gates = {listener.name: listener.gate for listener in self._listeners if listener.gate is not None}
        yield from _connections(gates)
        yield from _handshakes(gates)
        yield from self._newcomers()

    def _newcomers(self) -> Iterable[Metric]:
        away = CounterMetricFamily(
            "quartermaster_newcomers_turned_away",
            "Agents that were asked to come again later, by reason.",
            labels=["reason"],
        )
        for why, count in self._load.turned_away.items():
            away.add_metric([why.value], count)
        yield away
        closed = CounterMetricFamily(
            "quartermaster_connections_closed",
            "Agents' connections that were ended for what their peer did, by reason.",
            labels=["reason"],
        )
        for reason, count in self._load.closings.counts.items():
            closed.add_metric([reason.value], count)
        yield closed
        yield GaugeMetricFamily(
            "quartermaster_loop_late_seconds", "How late the event loop is, smoothed.", value=self._load.late
        )
        yield GaugeMetricFamily(
            "quartermaster_oldest_order_seconds",
            "How long the oldest order waits, of those for certificates and the journal.",
            value=self._load.oldest_order(),
        )
        yield GaugeMetricFamily(
            "quartermaster_draining", "1 while the server stops.", value=float(self._load.stops)
        )


def _connections(gates: dict[str, Gate]) -> Iterable[Metric]:
    held = GaugeMetricFamily("quartermaster_connections", "Connections that are held.", labels=["listener"])
    silent = GaugeMetricFamily(
        "quartermaster_connections_silent",
        "Connections, of those held, that have sent nothing yet.",
        labels=["listener"],
    )
    refused = CounterMetricFamily(
        "quartermaster_connections_refused",
        "Connections that were not let through, by reason.",
        labels=["listener", "reason"],
    )
    for name, gate in gates.items():
        held.add_metric([name], gate.arrivals.held)
        silent.add_metric([name], gate.silent)
        for reason, count in asdict(gate.counts).items():
            refused.add_metric([name, reason], count)
    yield from (held, silent, refused)


def _handshakes(gates: dict[str, Gate]) -> Iterable[Metric]:
    found = GaugeMetricFamily(
        "quartermaster_handshakes",
        "TLS handshakes: under way, waiting for a place, or put off because of their address.",
        labels=["listener", "state"],
    )
    for name, gate in gates.items():
        found.add_metric([name, "under_way"], gate.handshakes.under_way)
        found.add_metric([name, "waiting"], gate.handshakes.waiting)
        found.add_metric([name, "delayed"], gate.handshakes.delayed)
    yield found
