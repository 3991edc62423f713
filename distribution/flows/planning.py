"""What each agent is to have: packages, configuration, connections; in memory, alike for equal agents.

Rules:

1. `plan_for` does no I/O. Everything is read again by `reload`, which the hub calls before it wakes anybody.
2. No offer is made where the answer is not complete and certain: an agent that takes none, an unknown
   platform, a catalogue that does not verify now, a tie. The reason is for operators' eyes; what is wrong
   with one part takes nothing from the others.
3. Where no channel applies nothing is said of packages at all: clients delete what an empty set leaves out.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from distribution.catalog.catalogue import Catalogue
from distribution.domain.agent import AgentView, Capability, Plan
from distribution.domain.assignment import Channel, desired
from distribution.domain.configuration import RemoteConfig
from distribution.domain.connections import ConnectionSet
from distribution.domain.offer import Offer
from distribution.errors import DistributionError, PolicyError
from distribution.fleet import channels
from distribution.flows.catalogues import Catalogues
from distribution.flows.ports import Clock
from distribution.protocol.pacing import RETRY_FIRST
from storage.database import Database

_KINDS_MAX = 10_000
"""Kinds of agents (labels and platform) whose offers are kept; beyond, all are decided anew."""

_Decided = TypeVar("_Decided")

logger = logging.getLogger(__name__)

Kind = tuple[str, frozenset[tuple[str, str]]]

_Parts = tuple[int, str, int, str, int, str]
"""The parts of a plan: what was decided, by its identity, and why nothing was."""

_NOBODY: Final = frozenset[tuple[str, str]]()


class Configs(Protocol):
    """Decides configurations (`flows.configuration.board`)."""

    @property
    def empty(self) -> bool:
        """Whether nothing is assigned to anybody."""
        ...

    def reload(self) -> None:
        """Read everything again."""
        ...

    def config_for(self, view: AgentView) -> RemoteConfig | None:
        """Return what this agent is to run; memory only. Raises DistributionError saying why nothing is."""
        ...


class Connected(Protocol):
    """Decides connection settings (`flows.connections`)."""

    def reload(self) -> None:
        """Read everything again."""
        ...

    def connections_for(self, view: AgentView) -> ConnectionSet | None:
        """Return its connections; memory only. Raises DistributionError saying why nothing is decided."""
        ...


@dataclass(frozen=True, slots=True)
class Boards:
    """Who decides the parts beside packages; None: nobody, and nothing is said of them."""

    configs: Configs | None = None
    connections: Connected | None = None


class Planner:
    """Decides plans. Thread-safe."""

    def __init__(
        self,
        database: Database,
        catalogues: Catalogues,
        *,
        heartbeat_seconds: int,
        clock: Clock,
        boards: Boards | None = None,
        retry_first: timedelta = RETRY_FIRST,
    ) -> None:
        """`retry_first` is how long what failed on an agent is waited out, the first time."""
        self._database = database
        self._catalogues = catalogues
        self._heartbeat_seconds = heartbeat_seconds
        self._boards = boards or Boards()
        self._retry_first = retry_first
        self._clock = clock
        self._reloading = threading.Lock()
        self._switching = threading.Lock()  # held for an assignment only: the event loop may take it
        self._board = _Board(None, ())
        self._plans: dict[_Parts, tuple[Plan, Plan]] = {}
        """The plan, and one made of these very parts: they live as long as they are named by identity."""
        self._by_content: dict[tuple[object, ...], Plan] = {}
        self._reloads = 0

    def reload(self) -> None:
        """Read everything again. Raises: as `Database.read`; the plans then stay as they were."""
        for board in (self._boards.configs, self._boards.connections):
            if board is not None:
                board.reload()
        with self._reloading:
            with self._database.read() as connection:
                found = tuple(each.channel for each in channels.every(connection))
            with self._switching:
                self._board = _Board(self._board.catalogue, found)
            self._reloads += 1

    def as_of(self) -> int | None:
        """Return which state of things plans are decided from; the catalogue aside, and the time.

        Returns:
            None: where configurations are assigned. An agent has variables of its own, and is chosen by what
            it says of itself. Else the plan is the same for all agents of equal labels, platform and
            capabilities that speak for themselves.
        """
        configs = self._boards.configs
        return self._reloads if configs is None or configs.empty else None

    def plan_for(self, view: AgentView) -> Plan:
        """Return what this agent is to have; each part that cannot be decided is None, and says why."""
        boards = self._boards
        offer, problem = _part(self._packages_for, view)
        config, config_problem = (
            (None, "") if boards.configs is None else _part(boards.configs.config_for, view)
        )
        connections, connections_problem = (
            (None, "") if boards.connections is None else _part(boards.connections.connections_for, view)
        )
        parts = (id(offer), problem, id(config), config_problem, id(connections), connections_problem)
        known = self._plans.get(parts)
        if known is not None:
            return known[0]
        made = Plan(
            offer,
            self._heartbeat_seconds,
            problem,
            config,
            config_problem,
            connections,
            connections_problem,
            retry_first=self._retry_first,
        )
        return self._shared(parts, made)

    def _shared(self, parts: _Parts, made: Plan) -> Plan:
        """Return the one object that is this plan; also across a reload, by which others see no change."""
        if len(self._plans) >= _KINDS_MAX or len(self._by_content) >= _KINDS_MAX:
            self._plans, self._by_content = {}, {}
        content = _content(made)
        known = self._by_content.setdefault(content, made)
        self._plans[parts] = known, made
        return known

    def _packages_for(self, view: AgentView) -> Offer:
        if not view.capabilities:
            raise PolicyError("agent has not said yet what it accepts")
        if Capability.ACCEPTS_PACKAGES not in view.capabilities:
            raise PolicyError("agent does not accept packages")
        platform = None if view.description is None else view.description.platform
        if platform is None:
            raise PolicyError("agent does not report its platform (os.type and host.arch)")
        offer = self._offer(platform, view.labels, self._clock())
        if not offer.packages:
            raise PolicyError("no channel applies to the agent's labels")
        return offer

    def _offer(self, platform: str, labels: Mapping[str, str], now: datetime) -> Offer:
        catalogue, board = self._catalogues.current(now), self._board
        if board.catalogue is not catalogue:
            with self._switching:
                self._board = board = _Board(catalogue, self._board.channels)
        return board.offer(platform, labels)


def _part(decide: Callable[[AgentView], _Decided | None], view: AgentView) -> tuple[_Decided | None, str]:
    """Return what was decided, or None and why."""
    try:
        return decide(view), ""
    except DistributionError as exc:
        return None, str(exc)
    except Exception:
        logger.exception("plan could not be decided", extra={"agent": str(view.uid)})
        return None, "internal error"


def _content(plan: Plan) -> tuple[object, ...]:
    """Return all that a plan of this planner says; configurations also by what is not to be kept of them."""
    offer, config, connections = plan.offer, plan.config, plan.connections
    return (
        None if offer is None else offer.hash,
        plan.problem,
        None if config is None else (config.digest, config.origin, config.secrets, config.secret_parts),
        plan.config_problem,
        None if connections is None else (connections.digest, connections.origin, connections.left_out),
        plan.connections_problem,
    )


class _Board:
    """One catalogue with one set of channels, and the offers that came of them so far."""

    def __init__(self, catalogue: Catalogue | None, found: tuple[Channel, ...]) -> None:
        self.catalogue = catalogue
        self.channels = found
        self._offers: dict[Kind, Offer] = {}

    def offer(self, platform: str, labels: Mapping[str, str]) -> Offer:
        if self.catalogue is None:
            raise RuntimeError("a board without a catalogue was asked for an offer")
        kind = (platform, frozenset(labels.items()) if labels else _NOBODY)
        known = self._offers.get(kind)
        if known is None:
            if len(self._offers) >= _KINDS_MAX:
                self._offers.clear()
            known = self._offers[kind] = desired(labels, platform, self.channels, self.catalogue.find)
        return known
