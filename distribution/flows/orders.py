"""What messages lead to, carried out: certificates, promotions, documents, offers that need the database.

Everything here blocks on I/O and belongs into the worker thread. Nothing raises: each order has an outcome,
and whoever gave it is told on the event loop.
"""

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from distribution.domain.agent import Components
from distribution.domain.configuration import ConfigObject, EffectiveSeen, RemoteConfig
from distribution.domain.connections import ConnectionOffer, Credential
from distribution.fleet import documents
from distribution.fleet.documents import Document, Kind
from distribution.fleet.holders import Holders
from distribution.flows import enrol
from distribution.flows.enrol import Caller, Certifier
from distribution.flows.events import note_events
from distribution.flows.ports import Clock, Connections
from distribution.protocol.effects import (
    Certify,
    Effect,
    Equip,
    Examine,
    ExamineAgain,
    KeepComponents,
    PackageEvent,
    Promote,
    Reported,
)
from keys.certificate import kind_of
from keys.identity import AgentId
from keys.refusals import Refusals
from storage.database import Database

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refused:
    """Effect: journal that a peer was not let in, or was caught out."""

    why: str


@dataclass(frozen=True, slots=True)
class Bring:
    """Effect: admit an agent, at first sight, through the gateway whose certificate the caller presented."""


@dataclass(frozen=True, slots=True)
class Displaced:
    """Effect: journal that a newer connection of the agent took an older one's place."""

    why: str


@dataclass(frozen=True, slots=True)
class Order:
    """One effect to be carried out, and for whom. `agent` is None where the peer named nobody.

    `holder` says which one of its uid (`fleet.holders`); it matters for what is kept of its words.
    """

    caller: Caller
    agent: AgentId | None
    effect: Effect | Refused | Bring | Displaced
    holder: int = 0


Outcome: TypeAlias = Credential | EffectiveSeen | Components | ConnectionOffer | Exception | None
"""What an order came to: something to send or to note, what was refused or went wrong, or nothing."""


class Admitter(Protocol):
    """Admits agents through gateways (`keys.grants`)."""

    def admit_new(self, gateway: AgentId, agent: AgentId, now: datetime) -> object:
        """Admit an agent that nobody knows. Raises NotAdmittedError."""
        ...


class Fleet(Protocol):
    """All agents (`fleet.registry`)."""

    holders: Holders

    def introduce(self, agent: AgentId) -> None:
        """Make an agent known that enrolled."""
        ...


class Examiner(Protocol):
    """Looks at effective configurations (`flows.configuration.effective`)."""

    def examine(
        self,
        agent: AgentId,
        effective: Mapping[str, ConfigObject],
        intended: RemoteConfig | None,
        now: datetime,
    ) -> EffectiveSeen:
        """Make it safe to show, keep it, and say whether it shows what was intended."""
        ...

    def again(self, agent: AgentId, intended: RemoteConfig, now: datetime) -> EffectiveSeen | None:
        """Compare what was kept with what is intended now; None if nothing was."""
        ...


class Equipper(Protocol):
    """Completes connection settings (`flows.equip`)."""

    def equip(self, agent: AgentId, caller: Caller, wanted: Equip) -> ConnectionOffer:
        """Return the offer, with the chain of the certificate that was presented.

        Raises: PolicyError, InsecureOfferError: nothing may be offered.
        """
        ...


class Performer:
    """Carries out orders. `perform` is what the worker runs."""

    def __init__(
        self,
        *,
        database: Database,
        fleet: Fleet,
        authority: Certifier,
        connections: Connections,
        heartbeat_seconds: int,
        clock: Clock,
        examiner: Examiner | None = None,
        equipper: Equipper | None = None,
        grants: Admitter | None = None,
    ) -> None:
        """`fleet` is told of newly enrolled agents, and knows who holds a uid."""
        self._database = database
        self._introduce = fleet.introduce
        self._holders = fleet.holders
        self._authority = authority
        self._connections = connections
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._examiner = examiner
        self._equipper = equipper
        self._grants = grants
        self._refusals = Refusals(database)
        self._answers = itertools.count()

    def perform(self, orders: Sequence[Order]) -> list[Outcome]:
        """Carry out a batch of orders; never raises. Returns an outcome for each."""
        events = [order for order in orders if isinstance(order.effect, PackageEvent)]
        outcomes = [
            None if isinstance(order.effect, PackageEvent) else self._attempt(order) for order in orders
        ]
        if events:
            self._note_events(events)
        return outcomes

    def _attempt(self, order: Order) -> Outcome:
        try:
            return self._do(order)
        except Exception as exc:  # noqa: BLE001 - a seam: the one who asked is told, and its listener logs
            return exc

    def _do(self, order: Order) -> Outcome:
        caller, agent, now = order.caller, order.agent, self._clock()
        match order.effect:
            case Certify(csr) if agent is not None:
                return self._certify(caller, agent, csr, now)
            case Promote() if caller.serial is not None:
                enrol.promote(self._authority, self._connections, caller.serial, now)
            case Refused(why):
                self._note("connection.refused", caller, agent, why, now)
            case Displaced(why):
                self._note("connection.displaced", caller, agent, why, now)
            case Bring() if agent is not None and caller.claimed is not None and self._grants is not None:
                self._grants.admit_new(caller.claimed, agent, now)
                self._introduce(agent)
            case Examine() | ExamineAgain() | KeepComponents() if agent is not None:
                with self._holders.held(agent, order.holder):
                    return self._kept(agent, order.effect, now)
            case Equip() if agent is not None and self._equipper is not None:
                return self._equipper.equip(agent, caller, order.effect)
        return None

    def _certify(self, caller: Caller, agent: AgentId, csr: bytes, now: datetime) -> Credential | None:
        return enrol.certify(
            self._authority,
            self._introduce,
            caller,
            agent,
            csr,
            heartbeat_seconds=self._heartbeat_seconds,
            number=next(self._answers),
            now=now,
        )

    def _kept(self, agent: AgentId, words: Reported, now: datetime) -> EffectiveSeen | Components | None:
        """Keep what an agent reported at length, and return what was found in it."""
        match words:
            case Examine(effective, intended) if self._examiner is not None:
                return self._examiner.examine(agent, effective, intended, now)
            case ExamineAgain(intended) if self._examiner is not None:
                return self._examiner.again(agent, intended, now)
            case KeepComponents(components):
                return self._keep_components(agent, components, now)
        return None

    def _keep_components(self, agent: AgentId, components: Components, now: datetime) -> Components:
        document = Document(components.hash.hex(), components.listed or "{}", now)
        with self._database.write_relaxed() as connection:
            documents.keep(connection, agent, Kind.COMPONENTS, document)
        return Components(components.hash)

    def _note(self, kind: str, caller: Caller, agent: AgentId | None, why: str, now: datetime) -> None:
        who, subject = agent or caller.claimed, _presented(caller)
        self._refusals.note(
            kind,
            key=subject,
            actor="peer" if who is None else f"agent:{who}",
            subject=subject,
            why=f"{why} (from {caller.remote})",
            now=now,
        )

    def _note_events(self, orders: Iterable[Order]) -> None:
        told = [(order.agent, order.effect) for order in orders if isinstance(order.effect, PackageEvent)]
        try:
            note_events(self._database, told, self._clock())
        except Exception:
            # The agent's status still says it; nothing that trust rests on is lost.
            logger.exception("package events could not be journalled")


def _presented(caller: Caller) -> str:
    """Return what the journal calls a caller's credential: what we know of it, nothing that it says."""
    if caller.credential is not None:
        return f"{kind_of(caller.credential)}:{caller.credential}"
    return "peer without a certificate" if caller.presented is None else "peer with a bearer token"
