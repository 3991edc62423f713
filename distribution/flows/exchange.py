"""The story of one message: admitted, understood, answered; and of what it leads to.

On the event loop, in memory only:

Step 1  Admission: the connection's serial is its agent's, now, and the message is of that agent.
Step 2  The plan: what this agent is to have. It is decided anew when the agent says what it is, on a wake-up,
        and when it is a minute old (`flows.decided`).
Step 3  The step (`protocol.session`): the reply, and effects.

In the worker thread, `perform`: effects, batched (`flows.orders`). What one of them came to is taken on the
event loop again (`flows.aftermath`).
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from distribution.domain.agent import AgentView, Plan, Report
from distribution.fleet.registry import Registry
from distribution.flows.aftermath import Aftermath
from distribution.flows.commands import Commands
from distribution.flows.custom import Registry as CustomRegistry
from distribution.flows.custom import answer
from distribution.flows.decided import PLAN_FOR, AsOf, Decided, PlanFor
from distribution.flows.enrol import Caller, Certifier
from distribution.flows.identify import Identities, own
from distribution.flows.kept import Kept
from distribution.flows.orders import Admitter, Equipper, Examiner, Performer
from distribution.flows.ports import Clock, Connections
from distribution.flows.talk import Talk
from distribution.flows.waking import Waking, as_known
from distribution.protocol.offers import Reply
from distribution.protocol.session import Session, Standing, Turn, step
from keys.admission import Admission
from keys.certificate import Slot
from keys.errors import NotAdmittedError
from keys.identity import AgentId
from storage.database import Database

logger = logging.getLogger(__name__)

_STANDINGS: Final = {Slot.CURRENT: Standing.CURRENT, Slot.NEXT: Standing.NEXT}


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
        grants: Admitter | None = None,
        as_of: AsOf | None = None,
        new_uid: Callable[[], UUID] | None = None,
    ) -> None:
        """`perform` is for the worker thread; everything else belongs to the event loop.

        `new_uid` makes the uid that a stranger is told to take where its own is another's; without it he is
        refused. `as_of` tells of what state plans are; without it every agent's is decided by itself.
        """
        self._registry = registry
        self.identities, self._holds = Identities(admission), admission.holds
        self._new_uid = new_uid
        self._clock = clock
        self._commands = commands or Commands()
        self._decided = Decided(plan_for, self._commands, heartbeat_seconds, as_of)
        self._custom = custom
        self._kept, self._talks = Kept(), dict[UUID, Talk]()
        self.aftermath = Aftermath(registry, self._kept, self._talks, clock)
        self.waking = Waking(registry, admission, self._decided, clock, self._remember)
        self.perform = Performer(
            database=database,
            fleet=registry,
            authority=authority,
            connections=connections,
            heartbeat_seconds=heartbeat_seconds,
            clock=clock,
            examiner=examiner,
            equipper=equipper,
            grants=grants,
        ).perform

    def open(self, caller: Caller) -> Talk:
        """Begin a conversation with a peer that has just connected.

        Raises:
            NotAdmittedError: it presented nothing that lets it in; its message may be shown.
        """
        known, admitted = self.identities.enter(caller)
        return Talk(known, None) if admitted is None else self._begun(known, admitted.agent, admitted.slot)

    def open_behind(self, gateway: Caller, agent: AgentId) -> Talk:
        """Begin a conversation with an agent that a gateway speaks for. Raises NotAdmittedError."""
        return self._begun(self.identities.behind(gateway, agent), agent, Slot.CURRENT)

    def still_admitted(self, caller: Caller) -> None:
        """Check a connection that says nothing. Raises NotAdmittedError."""
        self.identities.check(caller)

    def beat(self, talk: Talk, payload: bytes) -> bool:
        """Take a message by its bytes alone if it is a heartbeat that changes nothing (`flows.talk`).

        Returns:
            Whether it was taken; it is answered by a bare reply then, else it is to be read and heard.
        """
        admitted, now = talk.admitted, self._clock()
        return (
            payload == talk.next_beat
            and talk.since <= now < talk.until
            and admitted is not None
            and self._holds(admitted, now)
            and talk.take_beat(now)
        )

    def hear(self, talk: Talk, report: Report) -> Turn:
        """Take one message; the talk moves on. The caller MUST have every effect performed.

        Raises:
            NotAdmittedError: the credential is not live any more, or the message is of another agent; the
                connection MUST be closed.
        """
        now = self._clock()
        # Step 1
        session = self._admitted(talk, report)
        if session.standing is not Standing.ENROLLING:
            self._registry.holders.require(AgentId(session.view.uid), talk.holder)
            session = session if session.greeted else self._up_to_date(talk, session)
        if talk.name is not None and session.view.uid != report.uid:
            report = own(report, talk.name, session.view.uid)
        # Step 2
        plan = self._decided.current(talk, session, report, now)
        # Step 3
        before = self._kept.counted(session, report)
        turn = step(before, report, plan, now)
        talk.session = turn.session
        if turn.session.standing is not Standing.ENROLLING:
            self._registry.keep(turn.session.view)
            if not before.greeted:
                self._talks[report.uid] = talk
            if not before.greeted or not report.is_heartbeat:
                turn = self._rounded(report, turn, plan, now)
            self._remember(before, turn, report)
            if turn.session.settled is plan and turn.session.standing is Standing.CURRENT:
                self._shorten(talk, turn.session)
        elif report.wants_uid:
            turn = self._named_anew(talk, turn)
        return as_known(talk, turn, now)

    def rename(self, talk: Talk) -> Reply | None:
        """Return what tells a stranger to take another uid, None if he was told already."""
        name, uid = talk.name, talk.uid
        if name is None or uid is None or name.ordered is not None or self._new_uid is None:
            return None
        name.ordered = self._new_uid()
        return Reply(uid, new_uid=name.ordered)

    def replan(self, talk: Talk) -> Turn | None:
        """Decide the plan again after a wake-up; return what is to be pushed, None if there is nothing."""
        return self.waking.replan(talk)

    def forget_plan(self, talk: Talk) -> None:
        """After a wake-up, have the plan decided again with the next message: nothing can be pushed."""
        self.waking.forget_plan(talk)

    def leave(self, talk: Talk) -> None:
        """Note that the agent is no longer connected. Only for its last connection."""
        session = talk.session
        if session is None or session.standing is Standing.ENROLLING:
            return
        known = self._registry.view(AgentId(session.view.uid))  # if it was reset, nothing of what it said
        if session.greeted or known.connected:  # by another connection, which ended while this one was there
            self._registry.keep(replace(known, connected=False))
        self._talks.pop(known.uid, None)

    def stay(self, talk: Talk) -> None:
        """Note that the agent said goodbye in this talk, and is connected by another."""
        if talk.session is not None:
            known = self._registry.view(AgentId(talk.session.view.uid))
            self._registry.keep(replace(known, connected=True))

    def standing_of(self, view: AgentView) -> tuple[Session, Plan]:
        """Return where this agent's talk stands and what it is to have; moves nothing, from any thread."""
        talk = self._talks.get(view.uid)
        session = (talk and talk.session) or self._kept.begin(view, Standing.CURRENT)
        return session, self._decided.of(session.view, self._clock())

    def is_overdue(self, talk: Talk, silence: float) -> bool:
        """Whether the talk's agent should have spoken in these seconds; one that promised nothing: never."""
        allowed = None if talk.state is None else self._registry.silence_allowed(talk.state.view)
        return allowed is not None and silence > allowed.total_seconds()

    def _begun(self, caller: Caller, agent: AgentId, slot: Slot) -> Talk:
        labelled = self.waking.labelled
        holder = self._registry.holders.number(agent)
        talk = Talk(caller, self._kept.begin(self._known(caller, agent), _STANDINGS[slot]), holder)
        talk.labelled = labelled
        return talk

    def _known(self, caller: Caller, agent: AgentId) -> AgentView:
        known = self._registry.view(agent)
        if known.last_seen is None:
            self._kept.drop(agent.uuid)
        return known if known.polls is caller.polls else replace(known, polls=caller.polls)

    def _up_to_date(self, talk: Talk, session: Session) -> Session:
        """Return the state that the first message meets: since the connection began more may be known."""
        known = self._known(talk.caller, AgentId(session.view.uid))
        return session if known is session.view else self._kept.begin(known, session.standing)

    def _named_anew(self, talk: Talk, turn: Turn) -> Turn:
        """Answer a stranger who asks for a uid; a request in the same message is for the old one."""
        told = self.rename(talk)
        return (
            turn
            if told is None
            else replace(turn, reply=replace(turn.reply, new_uid=told.new_uid), effects=())
        )

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
        return turn if reply is turn.reply else Turn(reply, turn.session, turn.effects)

    def _remember(self, before: Session, turn: Turn, report: Report | None = None) -> None:
        """Keep what outlives a connection, and that an order was told."""
        self._kept.keep(before, turn.session, report)
        if turn.reply.restart:
            self._commands.told(AgentId(turn.session.view.uid))

    def _admitted(self, talk: Talk, report: Report) -> Session:
        """Return the session of the message's agent. Raises NotAdmittedError."""
        self.identities.check(talk.caller)
        session = talk.session
        if session is None or session.view.uid != report.uid:
            session = talk.session = self._named(talk, session, AgentId(report.uid))
        elif talk.name is not None:
            talk.name.alias = None
        return session

    def _named(self, talk: Talk, session: Session | None, agent: AgentId) -> Session:
        """Return the session where the message is not under its agent's own uid. Raises NotAdmittedError."""
        if session is None:
            return Session(AgentView(agent.uuid), Standing.ENROLLING)
        if talk.caller.bearer is not None:
            return session
        if talk.name is not None and talk.name.ordered == agent.uuid:
            return Session(AgentView(agent.uuid), Standing.ENROLLING, greeted=True)
        raise NotAdmittedError(f"connection is of agent {session.view.uid}, the message is of agent {agent}")

    def _shorten(self, talk: Talk, session: Session) -> None:
        """Let heartbeats come the short way while the plan is young enough, and nothing is due."""
        entry, admitted = self._registry.entry(session.view), self.identities.itself(talk.caller)
        if entry is not None and admitted is not None:
            since = max(talk.planned_at, session.quiet_from)
            until = min(talk.planned_at + PLAN_FOR, session.quiet_until)
            talk.open_short_way(entry, admitted, since, until)
            self.waking.place(talk)
