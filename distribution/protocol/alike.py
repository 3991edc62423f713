"""What a changed plan leads to for many agents at once, decided once for all that stand alike.

A wake-up is mostly the same for thousands: the same plan, the same words about it, the same offers before.
What `session.push` finds for one of them it would find for the next one, but for the uid, so it is not asked
again: they share its reply, and what is remembered of it. What is an agent's own affair (an order, connection
settings that are yet to be made an offer, a problem that is to be noted) is not decided here.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from distribution.domain.agent import Plan
from distribution.protocol.asking import is_unsure
from distribution.protocol.offers import Reply
from distribution.protocol.pacing import Earlier, Offered
from distribution.protocol.session import Session, Standing, push
from distribution.protocol.stances import (
    of_config,
    of_connections,
    of_packages,
    tried_config,
    tried_connections,
    tried_packages,
)

KINDS_MAX: Final = 1000
"""Ways to stand that are kept; beyond, all are decided anew."""

_Kind: TypeAlias = tuple[int | Offered | Earlier | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Push:
    """What a wake-up leads to for all agents that stand alike. It is compared by identity."""

    reply: Reply
    """As it is said to one of them: of another agent's, only the uid is another."""
    offered: Offered | None
    config: Offered | None
    settled: Plan | None
    quiet_from: datetime
    quiet_until: datetime
    bare: bool
    """Whether there is nothing to say."""
    plan: Plan
    """By its identity this is found, so it lives as long."""

    def over(self, session: Session) -> Session:
        """Return the session of one of these agents after it."""
        return replace(
            session,
            offered=self.offered,
            config=self.config,
            settled=self.settled,
            quiet_from=self.quiet_from,
            quiet_until=self.quiet_until,
        )


class Alike:
    """What was decided lately. Belongs to the event loop."""

    def __init__(self) -> None:
        self._now: datetime | None = None
        self._found: dict[_Kind, Push | None] = {}

    def push(self, session: Session, before: Push | None, plan: Plan, now: datetime) -> Push | None:
        """Return what `session.push` leads to, None if that is this agent's own affair.

        Args:
            session: the state, before `before`.
            before: what an earlier wake-up led to that is not in `session` yet, if one did.
            plan: what the agent is to have now.
            now: aware UTC.
        """
        view = session.view
        if session.standing is not Standing.CURRENT or not session.greeted:
            return None
        if plan.restart is not None or view.problem != plan.problem:
            return None
        if now != self._now or len(self._found) >= KINDS_MAX:
            self._now, self._found = now, {}
        offered, config = session.offered, session.config
        if before is not None:
            offered, config = before.offered, before.config
        kind = _kind(session, plan, offered, config)
        try:
            return self._found[kind]
        except KeyError:
            whole = session if before is None else before.over(session)
            found = self._found[kind] = _decided(whole, plan, now)
            return found


def _kind(session: Session, plan: Plan, offered: Offered | None, config: Offered | None) -> _Kind:
    """Return by what agents differ: all that `session.push` looks at, and nothing that is each one's own.

    Plans, stances and sets of capabilities are there once each, so their identity tells them apart.
    """
    view = session.view
    kind: _Kind = (id(plan), offered, config, session.connections, session.earlier, id(view.capabilities))
    if plan.offer is not None:
        stance = of_packages(view, plan, unsure=is_unsure(view, session.asked))
        kind += (id(stance), tried_packages(view, plan.offer.hash))
    if plan.config is not None:
        kind += (id(of_config(view, plan)), tried_config(view, plan.config))
    if plan.connections is not None:
        stance = of_connections(view, plan)
        kind += (id(stance), tried_connections(view, plan.connections))
    return kind


def _decided(session: Session, plan: Plan, now: datetime) -> Push | None:
    turn = push(session, plan, now)
    after = turn.session
    if turn.effects or turn.reply.restart or after.connections is not session.connections:
        return None
    reply = turn.reply
    return Push(reply, after.offered, after.config, after.settled, now, after.quiet_until, reply.bare, plan)
