"""The story of one message: admitted, understood, answered; and of what it leads to.

On the event loop, in memory only:

Step 1  Admission: the connection's serial is its agent's, now, and the message is of that agent.
Step 2  The plan: what this agent is to have. It is decided anew when the agent says what it is, on a wake-up,
        and when it is a minute old; an error in deciding is no offer, and its reason is shown at the agent.
Step 3  The step (`protocol.session`): the reply, and effects.

In the worker thread, `perform`: effects, batched. Package events of a batch share one transaction; a
certificate request and a promotion each have their own, in the order they came.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from distribution.domain.agent import AgentView, Plan, Report
from distribution.domain.connections import Credential
from distribution.errors import DistributionError
from distribution.fleet.registry import Registry
from distribution.flows import enrol
from distribution.flows.enrol import Caller, Certifier
from distribution.flows.events import note_events
from distribution.flows.ports import Clock, Connections
from distribution.protocol.session import (
    Certify,
    Effect,
    Notes,
    PackageEvent,
    Promote,
    Session,
    Standing,
    Turn,
    push,
    step,
)
from keys.admission import Admission
from keys.certificate import Slot
from keys.errors import NotAdmittedError
from keys.identity import AgentId
from keys.refusals import Refusals
from storage.database import Database

PlanFor = Callable[[AgentView], Plan]
"""Decides what an agent is to have; memory only. Raises DistributionError where it cannot be decided."""

logger = logging.getLogger(__name__)

PLAN_FOR: Final = timedelta(minutes=1)
"""How old a plan may become: what it was decided from may have changed without a wake-up."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_STANDINGS: Final = {Slot.CURRENT: Standing.CURRENT, Slot.NEXT: Standing.NEXT}


@dataclass(frozen=True, slots=True)
class Refused:
    """Effect: journal that a peer was not let in, or was caught out."""

    why: str


@dataclass(frozen=True, slots=True)
class Order:
    """One effect to be carried out, and for whom. `agent` is None where the peer named nobody."""

    caller: Caller
    agent: AgentId | None
    effect: Effect | Refused


Outcome: TypeAlias = Credential | Exception | None
"""What an order came to: a credential to send, what was refused or went wrong, or nothing to tell."""


class Talk:
    """One connection's conversation; over plain HTTP, one agent's. Belongs to the event loop."""

    __slots__ = ("caller", "plan", "planned_at", "session")

    def __init__(self, caller: Caller, session: Session | None) -> None:
        self.caller = caller
        self.session = session
        """None until a peer without a certificate has said who it is."""
        self.plan: Plan | None = None
        """None: to be decided with the next message."""
        self.planned_at = _LONG_AGO


class Exchange:
    """Takes messages and carries out what they lead to."""

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        admission: Admission,
        authority: Certifier,
        connections: Connections,
        plan_for: PlanFor,
        heartbeat_seconds: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._registry = registry
        self._admission = admission
        self._authority = authority
        self._connections = connections
        self._plan_for = plan_for
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._refusals = Refusals(database)
        self._answers = itertools.count()
        self._notes: dict[UUID, Notes | None] = {}

    def open(self, caller: Caller) -> Talk:
        """Begin a conversation with a peer that has just connected.

        Raises:
            NotAdmittedError: it presented nothing that lets it in; its message may be shown.
        """
        if caller.serial is None:
            if caller.token is None:
                raise NotAdmittedError("neither a client certificate nor an enrollment token was presented")
            return Talk(caller, None)
        try:
            admitted = self._admission.admit(caller.serial, caller.claimed)
        except NotAdmittedError as exc:
            # Of an unknown serial admission cannot say whose it was; the certificate does.
            raise NotAdmittedError(f"agent {caller.claimed} is not admitted: {exc}") from exc
        view = self._registry.view(admitted.agent)
        return Talk(caller, Session(view, _STANDINGS[admitted.slot]))

    def still_admitted(self, caller: Caller) -> None:
        """Check a connection that says nothing. Raises NotAdmittedError."""
        if caller.serial is not None:
            self._admission.admit(caller.serial)

    def hear(self, talk: Talk, report: Report) -> Turn:
        """Take one message; the talk moves on. The caller MUST have every effect performed.

        Raises:
            NotAdmittedError: the credential is not live any more, or the message is of another agent; the
                connection MUST be closed.
        """
        now = self._clock()
        # Step 1
        session = self._admitted(talk, report)
        # Step 2
        plan = self._current_plan(talk, session, report, now)
        # Step 3
        turn = step(self._counted(session, report), report, plan, now)
        talk.session = turn.session
        if turn.session.standing is not Standing.ENROLLING:
            if report.packages is not None:
                self._notes[report.uid] = turn.session.notes
            self._registry.keep(turn.session.view)
        return turn

    def replan(self, talk: Talk) -> Turn | None:
        """Decide the plan again after a wake-up; return what is to be pushed, None if there is nothing."""
        session = talk.session
        if session is None or session.standing is Standing.ENROLLING:
            return None
        labels = self._registry.labels(AgentId(session.view.uid))
        view = replace(session.view, labels=labels)
        now = self._clock()
        turn = push(replace(session, view=view), self._replan(talk, view, now), now)
        talk.session = turn.session
        if session.greeted:
            self._registry.keep(turn.session.view)
        return None if turn.reply.bare else turn

    def forget_plan(self, talk: Talk) -> None:
        """After a wake-up, have the plan decided again with the next message: nothing can be pushed."""
        session = talk.session
        if session is not None:
            labels = self._registry.labels(AgentId(session.view.uid))
            talk.session = replace(session, view=replace(session.view, labels=labels))
        talk.plan = None

    def leave(self, talk: Talk) -> None:
        """Note that the agent is no longer connected. Only for its last connection."""
        session = talk.session
        if session is not None and session.greeted and session.standing is not Standing.ENROLLING:
            self._registry.keep(replace(session.view, connected=False))

    def perform(self, orders: Sequence[Order]) -> list[Outcome]:
        """Carry out a batch of orders, in the worker thread; never raises. Returns an outcome for each."""
        events = [order for order in orders if isinstance(order.effect, PackageEvent)]
        outcomes = [
            None if isinstance(order.effect, PackageEvent) else self._attempt(order) for order in orders
        ]
        if events:
            self._note_events(events)
        return outcomes

    def _admitted(self, talk: Talk, report: Report) -> Session:
        agent = AgentId(report.uid)
        if talk.caller.serial is not None:
            self._admission.admit(talk.caller.serial, agent)
        if talk.session is None:
            talk.session = Session(AgentView(report.uid), Standing.ENROLLING)
        elif talk.session.view.uid != report.uid:
            raise NotAdmittedError(f"connection is of agent {talk.session.view.uid}, the message of {agent}")
        return talk.session

    def _counted(self, session: Session, report: Report) -> Session:
        """Count package events for the agent: a new connection gives no new share of the journal."""
        return session if report.packages is None else replace(session, notes=self._notes.get(report.uid))

    def _current_plan(self, talk: Talk, session: Session, report: Report, now: datetime) -> Plan:
        """Return the talk's plan, decided again where that may make a difference."""
        able = report.capabilities or session.view.capabilities  # a mere poll may leave them out
        said = report.description is not None or able != session.view.capabilities
        if talk.plan is None or said or now >= talk.planned_at + PLAN_FOR:
            return self._replan(talk, session.view.heard(report, now), now)
        return talk.plan

    def _replan(self, talk: Talk, view: AgentView, now: datetime) -> Plan:
        plan = self._plan(view)
        if talk.plan is None or talk.plan != plan:
            talk.plan = plan  # else the same object stays, by which the session knows that nothing changed
        talk.planned_at = now
        return talk.plan

    def _plan(self, view: AgentView) -> Plan:
        try:
            return self._plan_for(view)
        except DistributionError as exc:
            return Plan(None, self._heartbeat_seconds, str(exc))
        except Exception:
            logger.exception("plan could not be decided", extra={"agent": str(view.uid)})
            return Plan(None, self._heartbeat_seconds, "internal error")

    def _attempt(self, order: Order) -> Outcome:
        try:
            return self._do(order)
        except Exception as exc:  # noqa: BLE001 - a seam: the one who asked is told, and its listener logs
            return exc

    def _do(self, order: Order) -> Outcome:
        caller, agent, now = order.caller, order.agent, self._clock()
        match order.effect:
            case Certify(csr) if agent is not None:
                return enrol.certify(
                    self._authority,
                    self._registry.introduce,
                    caller,
                    agent,
                    csr,
                    heartbeat_seconds=self._heartbeat_seconds,
                    number=next(self._answers),
                    now=now,
                )
            case Promote() if caller.serial is not None:
                enrol.promote(self._authority, self._connections, caller.serial, now)
            case Refused(why):
                self._note_refusal(caller, agent, why, now)
        return None

    def _note_refusal(self, caller: Caller, agent: AgentId | None, why: str, now: datetime) -> None:
        who = agent or caller.claimed
        subject = "peer without a certificate" if caller.serial is None else f"serial:{caller.serial}"
        self._refusals.note(
            "connection.refused",
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
