"""The story of one message: admitted, understood, answered; and of what it leads to.

On the event loop, in memory only:

Step 1  Admission: the connection's serial is its agent's, now, and the message is of that agent.
Step 2  The plan: what this agent is to have. It is decided anew when the agent says what it is, on a wake-up,
        and when it is a minute old; an error in deciding is no offer, and its reason is shown at the agent.
Step 3  The step (`protocol.session`): the reply, and effects.

In the worker thread, `perform`: effects, batched (`flows.orders`). What one of them came to is taken by
`absorb`, on the event loop again.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from distribution.domain.agent import AgentView, Plan, Report
from distribution.domain.configuration import EffectiveSeen
from distribution.domain.connections import ConnectionOffer
from distribution.errors import DistributionError
from distribution.fleet.registry import Registry
from distribution.flows.commands import Commands
from distribution.flows.custom import Registry as CustomRegistry
from distribution.flows.custom import answer
from distribution.flows.enrol import Caller, Certifier
from distribution.flows.orders import Equipper, Examiner, Outcome, Performer
from distribution.flows.ports import Clock, Connections
from distribution.protocol.effects import Effect
from distribution.protocol.offers import Reply
from distribution.protocol.pacing import Offered
from distribution.protocol.package_events import Notes
from distribution.protocol.session import Session, Standing, Turn, push, step
from keys.admission import Admission
from keys.certificate import Slot
from keys.errors import NotAdmittedError
from keys.identity import AgentId
from storage.database import Database

PlanFor = Callable[[AgentView], Plan]
"""Decides what an agent is to have; memory only. Raises DistributionError where it cannot be decided."""

logger = logging.getLogger(__name__)

PLAN_FOR: Final = timedelta(minutes=1)
"""How old a plan may become: what it was decided from may have changed without a wake-up."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_STANDINGS: Final = {Slot.CURRENT: Standing.CURRENT, Slot.NEXT: Standing.NEXT}


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
        commands: Commands | None = None,
        examiner: Examiner | None = None,
        equipper: Equipper | None = None,
        custom: CustomRegistry = MappingProxyType({}),
    ) -> None:
        """`perform` is for the worker thread; everything else belongs to the event loop."""
        self._registry = registry
        self._admission = admission
        self._plan_for = plan_for
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._commands = commands or Commands()
        self._custom = custom
        self._notes: dict[UUID, Notes | None] = {}
        self._connected: dict[UUID, Offered] = {}
        self.perform = Performer(
            database=database,
            introduce=registry.introduce,
            authority=authority,
            connections=connections,
            heartbeat_seconds=heartbeat_seconds,
            clock=clock,
            examiner=examiner,
            equipper=equipper,
        ).perform

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
        view = replace(self._registry.view(admitted.agent), polls=caller.polls)
        connections = self._connected.get(view.uid)
        return Talk(caller, Session(view, _STANDINGS[admitted.slot], connections=connections))

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
        before = self._counted(session, report)
        turn = step(before, report, plan, now)
        talk.session = turn.session
        if turn.session.standing is not Standing.ENROLLING:
            if report.packages is not None:
                self._notes[report.uid] = turn.session.notes
            self._registry.keep(turn.session.view)
            if not before.greeted or not report.is_heartbeat:
                turn = self._rounded(report, turn, plan, now)
            self._remember(before, turn)
        return turn

    def replan(self, talk: Talk) -> Turn | None:
        """Decide the plan again after a wake-up; return what is to be pushed, None if there is nothing."""
        session = talk.session
        if session is None or session.standing is Standing.ENROLLING:
            return None
        labels = self._registry.labels(AgentId(session.view.uid))
        view = replace(session.view, labels=labels)
        now = self._clock()
        before = replace(session, view=view)
        turn = push(before, self._replan(talk, view, now), now)
        talk.session = turn.session
        self._remember(before, turn)
        if session.greeted:
            self._registry.keep(turn.session.view)
        return None if turn.reply.bare and not turn.effects else turn

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

    def absorb(self, talk: Talk, effect: Effect, outcome: Outcome) -> Reply | None:
        """Take what an order of this talk came to; return what is to be said of it, if anything.

        What went wrong with it is logged here: the agent asked for nothing.
        """
        session = talk.session
        if session is None or isinstance(outcome, Exception):
            logger.warning(
                "order failed",
                extra={"agent": str(session and session.view.uid), "order": type(effect).__name__},
                exc_info=outcome if isinstance(outcome, Exception) else None,
            )
            return None
        if isinstance(outcome, EffectiveSeen):
            talk.session = replace(session, view=replace(session.view, effective=outcome), settled=None)
            self._registry.keep(talk.session.view)
        elif isinstance(outcome, ConnectionOffer):
            return Reply(session.view.uid, connections=outcome)
        return None

    def _rounded(self, report: Report, turn: Turn, plan: Plan, now: datetime) -> Turn:
        """Put into the answer what the step does not know of: custom capabilities and messages."""
        reply = turn.reply
        if reply.greeting and self._custom:
            reply = replace(reply, custom_capabilities=tuple(sorted(self._custom)))
        if report.custom is not None and not reply.restart:
            said = answer(self._custom, turn.session, plan, report.custom, now)
            reply = replace(reply, custom=said)
        if report.wants_uid and not reply.restart:
            # Its credential is of this uid and of no other.
            reply = replace(reply, new_uid=turn.session.view.uid)
        return replace(turn, reply=reply)

    def _remember(self, before: Session, turn: Turn) -> None:
        """Keep what outlives a connection: the settings that were offered, an order that was told."""
        uid, offered = turn.session.view.uid, turn.session.connections
        if offered is not None and offered is not before.connections:
            self._connected[uid] = offered
        if turn.reply.restart:
            self._commands.told(AgentId(uid))

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
        order = self._commands.pending(AgentId(view.uid), now)
        if order is not None:
            plan = replace(plan, restart=order)
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
