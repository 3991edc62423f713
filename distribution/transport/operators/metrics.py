"""What the operators' listener measures: its own requests, the fleet, the catalogue's age."""

import logging
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from distribution.domain.liveness import Wellbeing
from distribution.errors import UnverifiedError
from distribution.fleet import search
from distribution.flows.catalogues import Catalogues
from distribution.flows.ports import Clock
from storage.database import Database
from storage.errors import StorageError

logger = logging.getLogger(__name__)


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

    def __init__(self, database: Database, catalogues: Catalogues, clock: Clock) -> None:
        self._database = database
        self._catalogues = catalogues
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges of this moment."""
        yield from self._agents()
        yield from self._catalogue()

    def _agents(self) -> Iterable[Metric]:
        try:
            found = search.tally(self._database, search.Filter())
        except StorageError:
            logger.warning("agents could not be counted", exc_info=True)
            return
        agents = GaugeMetricFamily(
            "quartermaster_agents", "Agents by what is known of them.", labels=["state"]
        )
        agents.add_metric(["known"], found.total)
        for state, count in found.live.items():
            agents.add_metric([state.value], count)
        agents.add_metric(["unhealthy"], found.health[Wellbeing.UNHEALTHY])
        yield agents

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
