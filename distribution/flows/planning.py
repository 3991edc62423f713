"""What each agent is to have: channels against the catalogue, decided in memory, alike for equal agents.

Rules:

1. `plan_for` does no I/O. Channels are read again by `reload`, which the hub calls before it wakes anybody.
2. No offer is made where the answer is not complete and certain: an agent that takes no packages, an unknown
   platform, a catalogue that does not verify now, a tie of channels. The reason is for operators' eyes.
3. Where no channel applies nothing is said of packages at all: clients delete what an empty set leaves out.
"""

import threading
from collections.abc import Mapping
from datetime import datetime

from distribution.catalog.catalogue import Catalogue
from distribution.domain.agent import AgentView, Capability, Plan
from distribution.domain.assignment import Channel, desired
from distribution.domain.offer import Offer
from distribution.fleet import channels
from distribution.flows.catalogues import Catalogues
from distribution.flows.ports import Clock
from storage.database import Database

_KINDS_MAX = 10_000
"""Kinds of agents (labels and platform) whose offers are kept; beyond, all are decided anew."""

Kind = tuple[str, frozenset[tuple[str, str]]]


class Planner:
    """Decides plans. Thread-safe."""

    def __init__(
        self, database: Database, catalogues: Catalogues, *, heartbeat_seconds: int, clock: Clock
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._reloading = threading.Lock()
        self._switching = threading.Lock()  # held for an assignment only: the event loop may take it
        self._board = _Board(None, ())

    def reload(self) -> None:
        """Read the channels again. Raises: as `Database.read`; the plans then stay as they were."""
        with self._reloading:
            with self._database.read() as connection:
                found = tuple(each.channel for each in channels.every(connection))
            with self._switching:
                self._board = _Board(self._board.catalogue, found)

    def plan_for(self, view: AgentView) -> Plan:
        """Return what this agent is to have.

        Raises:
            DistributionError: it cannot be decided; nothing may be offered.
        """
        if not view.capabilities & Capability.ACCEPTS_PACKAGES:
            return self._nothing("agent does not accept packages")
        if view.platform is None:
            return self._nothing("agent does not report its platform (os.type and host.arch)")
        offer = self._offer(view.platform, view.labels, self._clock())
        if not offer.packages:
            return self._nothing("no channel applies to the agent's labels")
        return Plan(offer, self._heartbeat_seconds)

    def _nothing(self, why: str) -> Plan:
        return Plan(None, self._heartbeat_seconds, why)

    def _offer(self, platform: str, labels: Mapping[str, str], now: datetime) -> Offer:
        catalogue, board = self._catalogues.current(now), self._board
        if board.catalogue is not catalogue:
            with self._switching:
                self._board = board = _Board(catalogue, self._board.channels)
        return board.offer(platform, labels)


class _Board:
    """One catalogue with one set of channels, and the offers that came of them so far."""

    def __init__(self, catalogue: Catalogue | None, found: tuple[Channel, ...]) -> None:
        self.catalogue = catalogue
        self.channels = found
        self._offers: dict[Kind, Offer] = {}

    def offer(self, platform: str, labels: Mapping[str, str]) -> Offer:
        if self.catalogue is None:
            raise RuntimeError("a board without a catalogue was asked for an offer")
        kind = (platform, frozenset(labels.items()))
        known = self._offers.get(kind)
        if known is None:
            if len(self._offers) >= _KINDS_MAX:
                self._offers.clear()
            known = self._offers[kind] = desired(labels, platform, self.channels, self.catalogue.find)
        return known
