"""What the operators' listener measures: its own requests, the fleet, the catalogue's age."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from distribution.errors import UnverifiedError
from distribution.fleet.registry import Registry
from distribution.flows.catalogues import Catalogues
from distribution.flows.ports import Clock


class Requests:
    """Counts answers of the API by method, route and status; never by an address or a name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = Counter(
            "quartermaster_operator_requests",
            "Answers of the operators' API.",
            ("method", "route", "status"),
            registry=registry,
        )

    def count(self, method: str, route: str, status: int) -> None:
        """Count one answer."""
        self._answers.labels(method, route, str(status)).inc()


class FleetCollector(Collector):
    """Reads the fleet and the catalogue when somebody asks, not before."""

    def __init__(self, registry: Registry, catalogues: Catalogues, clock: Clock) -> None:
        self._registry = registry
        self._catalogues = catalogues
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges of this moment."""
        known = connected = unhealthy = 0
        for view in self._registry.every():
            known += 1
            connected += view.connected
            unhealthy += view.health is not None and not view.health.healthy
        agents = GaugeMetricFamily(
            "quartermaster_agents", "Agents by what is known of them.", labels=["state"]
        )
        for state, count in (("known", known), ("connected", connected), ("unhealthy", unhealthy)):
            agents.add_metric([state], count)
        yield agents
        yield from self._catalogue()

    def _catalogue(self) -> Iterable[Metric]:
        try:
            catalogue = self._catalogues.current(self._clock())
        except UnverifiedError:
            yield GaugeMetricFamily("quartermaster_catalogue_verified", "1 while there is one.", value=0)
            return
        yield GaugeMetricFamily("quartermaster_catalogue_verified", "1 while there is one.", value=1)
        yield GaugeMetricFamily(
            "quartermaster_catalogue_verified_until_seconds",
            "When the first of its signatures expires, in seconds since 1970.",
            value=catalogue.verified_until.timestamp(),
        )
        yield GaugeMetricFamily(
            "quartermaster_snapshot_version",
            "Version of the TUF snapshot that is served.",
            value=catalogue.snapshot_version,
        )
