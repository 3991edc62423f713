"""What a wake-up leads to: a talk's plan is decided again, and pushed where it changed. Memory only.

Most wake-ups are everybody's, and lead to the same for thousands. So it is decided once for all that stand
alike (`protocol.alike`), and what it led to is noted beside each talk's state; the rest are decided singly.
As long as an agent says nothing, its talk points to the kind that it is of (`protocol.kinds`), and nothing is
looked up for it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from distribution.fleet.registry import Registry
from distribution.flows.decided import PLAN_FOR, Decided
from distribution.flows.identify import addressed
from distribution.flows.ports import Clock
from distribution.flows.talk import Talk
from distribution.protocol.alike import Alike, Push
from distribution.protocol.kinds import Kind, Kinds
from distribution.protocol.pacing import NEVER
from distribution.protocol.session import Session, Standing, Turn, push
from keys.admission import Admission
from keys.identity import AgentId

Remember = Callable[[Session, Turn], None]
"""Keeps what outlives a connection."""


class Waking:
    """Has talks planned again. Belongs to the event loop."""

    def __init__(
        self, registry: Registry, admission: Admission, decided: Decided, clock: Clock, remember: Remember
    ) -> None:
        self._registry = registry
        self._admission = admission
        self._decided = decided
        self._clock = clock
        self._remember = remember
        self._alike = Alike()
        self._kinds = Kinds()
        self.any_gateway = False
        """Whether anybody may speak for others, as of the last wake-up."""
        self._moment: object | None = None
        self._labelled = -1
        self._apart = True
        """Whether plans are each agent's own, or an order waits for somebody."""
        self._now = NEVER
        self._as_of: int | None = None
        self._round = object()
        """While time and what plans are decided from stay the same, nothing is decided twice for a kind."""

    @property
    def labelled(self) -> int:
        """How often the labels of any agent changed."""
        return self._registry.labelled + self._admission.labelled

    def alike(self, talk: Talk, moment: object | None = None) -> Push | None:
        """Decide as `replan` does, where that is the same for all agents that stand alike.

        Args:
            talk: of the agent that is woken.
            moment: the same object for all that are woken one directly after the other, each time another:
                the clock is asked once for them. None: it is asked.

        Returns:
            What is said and remembered; None where nothing was decided, and `replan` MUST be called.
        """
        if moment is None or moment is not self._moment:
            self._look(moment)
        kind = talk.kind
        if kind is None or self._apart or talk.labelled != self._labelled:
            session = self._as_labelled(talk)
            if session is None or self._decided.has_order(talk, self._now):
                return None
            kind = None if self._as_of is None else self._kinds.of(session, talk.pushed)
            if kind is None:
                return self._singly(talk, session, self._now)
        if kind.decided_in is not self._round:
            self._decide(kind, talk, self._now)
        found = kind.found
        if found is not None:
            talk.push(found, kind.until, kind.after or kind)
        return found

    def place(self, talk: Talk) -> None:
        """Find of which kind an agent that speaks for itself is, while what it just said is at hand.

        When all are woken, most of what is known of them has to be fetched from far away.
        """
        if talk.state is not None and self._decided.as_of() is not None:
            talk.kind = self._kinds.of(talk.state, talk.pushed)

    def _look(self, moment: object | None) -> None:
        """Look at all that is the same for all."""
        self._moment, self._labelled = moment, self.labelled
        self.any_gateway = self._admission.any_gateway
        now, as_of = self._clock(), self._decided.as_of()
        if now != self._now or as_of != self._as_of:
            self._now, self._as_of, self._round = now, as_of, object()
        self._apart = as_of is None or self._decided.orders_wait

    def _as_labelled(self, talk: Talk) -> Session | None:
        """Return the talk's state if its agent speaks for itself, and nothing is new about its labels."""
        session, labelled = talk.state, self._labelled
        if session is None or talk.name is not None or talk.caller.passage is not None:
            return None
        if talk.labelled != labelled:
            if self._registry.labels(AgentId(session.view.uid)) != session.view.labels:
                return None
            talk.labelled = labelled
        return session

    def _singly(self, talk: Talk, session: Session, now: datetime) -> Push | None:
        plan = self._decided.again(talk, session.view, now)
        found = self._alike.push(session, talk.pushed, plan, now)
        if found is not None:
            talk.push(found, min(now + PLAN_FOR, found.quiet_until))
        return found

    def _decide(self, kind: Kind, talk: Talk, now: datetime) -> None:
        """Decide for a kind, by one of its agents."""
        session = talk.state
        if session is not None:
            plan, found = self._decided.alike(session.view), None
            # A worker may have assigned the first configuration meanwhile: such a plan is this agent's own.
            if plan.config is None and self._decided.as_of() is not None:
                found = self._alike.push(session, talk.pushed, plan, now)
            until = NEVER if found is None else min(now + PLAN_FOR, found.quiet_until)
            self._kinds.note(kind, found, until, self._round)

    def replan(self, talk: Talk) -> Turn | None:
        """Decide the plan again after a wake-up; return what is to be pushed, None if there is nothing."""
        session = talk.session
        if session is None or session.standing is Standing.ENROLLING:
            return None
        now, view, before, labelled = self._clock(), session.view, session, self.labelled
        labels = self._registry.labels(AgentId(view.uid))
        if labels != view.labels:
            view = replace(view, labels=labels)
            before = replace(session, view=view)
        turn = push(before, self._decided.again(talk, view, now), now)
        talk.session, talk.labelled = turn.session, labelled
        self._remember(before, turn)
        if session.greeted and turn.session.view is not session.view:
            self._registry.keep(turn.session.view)
        return None if turn.reply.bare and not turn.effects else as_known(talk, turn, now)

    def forget_plan(self, talk: Talk) -> None:
        """After a wake-up, have the plan decided again with the next message: nothing can be pushed."""
        session = talk.session
        if session is not None:
            labels = self._registry.labels(AgentId(session.view.uid))
            talk.session = replace(session, view=replace(session.view, labels=labels))
        talk.plan = None


def as_known(talk: Talk, turn: Turn, now: datetime) -> Turn:
    """Answer under the uid that the peer uses."""
    if talk.name is None or talk.name.alias is None:
        return turn
    return replace(turn, reply=addressed(turn.reply, talk.name, turn.session.view.uid, now))
