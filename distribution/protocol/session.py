"""One agent's conversation with the server: a message comes in, a reply and effects come out.

Pure: no I/O, no clock, no waiting. States and what moves them:

    standing    may                                 leaves it by
    ENROLLING   send a certificate request          the end of its connection
    NEXT        everything                          its first message (effect `Promote`), to CURRENT
    CURRENT     everything                          the end of its credential

Rules of offering (`protocol.stances` says what an agent holds, `protocol.pacing` when it is offered):

1. Packages, configuration and connections only to an admitted agent that accepts them, always complete.
2. No plan, no offer: silence never removes anything.
3. A command is told alone; whatever else there is to say waits for the next message.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from distribution.domain.agent import AgentView, Capability, Plan, Report
from distribution.protocol.asking import Asked, answered, asked_again, has_missed, is_unsure, may_ask
from distribution.protocol.effects import (
    Certify,
    Effect,
    Equip,
    Examine,
    ExamineAgain,
    KeepComponents,
    Promote,
)
from distribution.protocol.offers import ConfigOffer, Reply
from distribution.protocol.pacing import NEVER, NOTHING_EARLIER, Earlier, Offered, decide, quiet_until
from distribution.protocol.package_events import Notes, events_of
from distribution.protocol.stances import (
    is_examined,
    is_unseen,
    of_config,
    of_connections,
    of_packages,
    tried_config,
    tried_connections,
    tried_packages,
)


class Standing(Enum):
    """By what the agent is connected."""

    ENROLLING = "enrolling"
    NEXT = "next"
    CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Session:
    """One connection's state; over plain HTTP, one agent's."""

    view: AgentView
    standing: Standing
    greeted: bool = False
    asked: Asked | None = None
    """Of any connection of the agent, as `connections`: when it was asked to say everything."""
    offered: Offered | None = None
    """The packages offered last."""
    notes: Notes | None = None
    settled: Plan | None = None
    """The plan for which nothing is due from `quiet_from` to `quiet_until`, if the agent says nothing new."""
    quiet_from: datetime = NEVER
    quiet_until: datetime = NEVER
    config: Offered | None = None
    connections: Offered | None = None
    """Of any connection of the agent: whoever opens the session brings it along."""
    asked_components: bytes = b""
    """Hash of the components whose list was asked for."""
    restarted: int = 0
    """Number of the last order to restart that was told."""
    earlier: Earlier = NOTHING_EARLIER
    """Brought along like `connections`."""
    asked_effective: bytes = b""
    """Digest of the configuration for whose sake it was asked for its effective one."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one message leads to. The caller MUST keep `session` and carry out every effect."""

    reply: Reply
    session: Session
    effects: tuple[Effect, ...] = ()


def step(session: Session, report: Report, plan: Plan, now: datetime) -> Turn:
    """Take one message. The caller has checked that its sender is the connection's agent.

    Args:
        session: the state before.
        report: what the message says.
        plan: what the agent is to have, as decided from what it says of itself, this message included.
        now: aware UTC.
    """
    before = session.view
    view = before.heard(report, now)
    if (
        session.settled is plan
        and session.quiet_from <= now < session.quiet_until  # before: the clock was set back
        and report.is_heartbeat
        and _follows_on(before, report)
    ):
        return Turn(Reply(view.uid), _beaten(session, view))
    if view.problem != plan.problem:
        view = replace(view, problem=plan.problem)
    greeting = not session.greeted
    if session.standing is Standing.ENROLLING:
        after = replace(session, view=view, greeted=True)
        return Turn(Reply(view.uid, greeting=greeting), after, tuple(_requests(report)))
    events, notes = events_of(before, report, plan, session.notes, now)
    effects: tuple[Effect, ...] = (*_requests(report), *events, *_documents(report, view, plan))
    if session.standing is Standing.NEXT:
        effects = (Promote(), *effects)
    missed = has_missed(before, report, first=greeting)
    if missed:
        view = replace(view, sequence=None)  # whatever comes next does not follow on, on any connection
    told = _offered_to(session, report)
    heard = replace(session, view=view, standing=Standing.CURRENT, greeted=True, notes=notes, offered=told)
    if report.disconnect:
        return Turn(Reply(view.uid, greeting=greeting), heard, effects)
    turn = _answer(heard, plan, now, sure=report.packages is not None)
    asked = _asked(session, report, missed=missed, now=now)
    effects = (*effects, *turn.effects)
    if turn.reply.restart:
        return Turn(replace(turn.reply, greeting=greeting), turn.session, effects)
    reply = replace(turn.reply, full_state=asked[0], components=asked[1], greeting=greeting)
    return Turn(reply, _noting(turn.session, report, asked, now), effects)


def push(session: Session, plan: Plan, now: datetime) -> Turn:
    """Decide whether a changed plan is told at once; the reply is bare if there is nothing to tell."""
    view = (
        session.view if session.view.problem == plan.problem else replace(session.view, problem=plan.problem)
    )
    if session.standing is Standing.ENROLLING or not session.greeted:
        return Turn(Reply(view.uid), session)
    return _answer(session if view is session.view else replace(session, view=view), plan, now)


def _answer(session: Session, plan: Plan, now: datetime, *, sure: bool = False) -> Turn:
    """Decide every part of the plan; the greeting and what is asked for are the caller's.

    `sure` says that the agent speaks of its packages in this very message.
    """
    view = session.view
    order = plan.restart
    if (
        order is not None
        and order.number != session.restarted
        and Capability.ACCEPTS_RESTART in view.capabilities
    ):
        return Turn(Reply(view.uid, restart=True), replace(session, restarted=order.number, settled=None))
    packages, offered, packages_until = _packages(session, plan, now, sure=sure)
    config, told, config_until = _config(session, plan, now)
    equip, connected, connections_until = _connections(session, plan, now)
    reply = Reply(
        view.uid,
        offer=plan.offer if packages else None,
        offer_attempt=packages,
        config=ConfigOffer(plan.config, config) if config and plan.config else None,
    )
    after = replace(
        session,
        offered=offered,
        config=told,
        connections=connected,
        settled=plan if order is None else None,
        quiet_from=now,
        quiet_until=min(packages_until, config_until, connections_until),
    )
    speaks = Capability.REPORTS_CONNECTION_STATUS in view.capabilities
    effects = (Equip(plan.connections, equip, speaks),) if equip and plan.connections else ()
    return Turn(reply, after, effects)


_Part: TypeAlias = tuple[int, Offered | None, datetime]
"""The number of the try to offer now, what is to be remembered, until when nothing more is due."""


def _packages(session: Session, plan: Plan, now: datetime, *, sure: bool) -> _Part:
    if plan.offer is None:
        return 0, session.offered, NEVER
    digest, first = plan.offer.hash, plan.retry_first
    unsure = not sure and is_unsure(session.view, session.asked)
    stance = of_packages(session.view, plan, unsure=unsure)
    tried = tried_packages(session.view, digest)
    last = session.offered or session.earlier.packages_if(digest, stance)
    attempt, offered = decide(last, digest, stance, now, tried=tried, retry_first=first)
    return attempt, offered, quiet_until(offered, stance, first)


def _config(session: Session, plan: Plan, now: datetime) -> _Part:
    if plan.config is None:
        return 0, session.config, NEVER
    digest, first = plan.config.digest, plan.retry_first
    stance, tried = of_config(session.view, plan), tried_config(session.view, plan.config)
    last = session.config or session.earlier.config_if(digest, stance)
    attempt, offered = decide(last, digest, stance, now, tried=tried, retry_first=first)
    return attempt, offered, quiet_until(offered, stance, first)


def _connections(session: Session, plan: Plan, now: datetime) -> _Part:
    if plan.connections is None:
        return 0, None, NEVER  # where they are given again, that is not the same offer once more
    view, digest, first = session.view, plan.connections.digest, plan.retry_first
    stance, tried = of_connections(view, plan), tried_connections(view, plan.connections)
    attempt, offered = decide(session.connections, digest, stance, now, tried=tried, retry_first=first)
    return attempt, offered, quiet_until(offered, stance, first)


def _requests(report: Report) -> Iterator[Effect]:
    if report.csr is not None:
        yield Certify(report.csr)


def _documents(report: Report, view: AgentView, plan: Plan) -> Iterator[Effect]:
    if report.effective is not None and not is_examined(report.effective, view, plan.config):
        yield Examine(report.effective, plan.config)
    elif plan.config is not None and is_unseen(report.config_status, view, plan.config):
        yield ExamineAgain(plan.config)
    if report.components is not None and report.components.listed is not None:
        yield KeepComponents(report.components)


def _follows_on(before: AgentView, report: Report) -> bool:
    return (
        before.sequence is not None
        and report.sequence == before.sequence + 1
        and report.capabilities in (Capability.NONE, before.capabilities)
    )


def _beaten(session: Session, view: AgentView) -> Session:
    """Return the state after a heartbeat: most messages are one, so this spares what they cannot change."""
    return Session(
        view,
        Standing.CURRENT,
        True,
        session.asked,
        session.offered,
        session.notes,
        session.settled,
        session.quiet_from,
        session.quiet_until,
        session.config,
        session.connections,
        session.asked_components,
        session.restarted,
        session.earlier,
        session.asked_effective,
    )


def _asked(session: Session, report: Report, *, missed: bool, now: datetime) -> tuple[bool, bool]:
    """Return whether to ask for the full state, and whether for the list of components."""
    full = missed and may_ask(session.asked, now)
    said, known = report.components, session.view.components
    listed = (
        said is not None
        and said.listed is None
        and (known is None or known.hash != said.hash)
        and session.asked_components != said.hash
    )
    return full, listed


def _noting(session: Session, report: Report, asked: tuple[bool, bool], now: datetime) -> Session:
    full, listed = asked
    if listed and report.components is not None:
        session = replace(session, asked_components=report.components.hash)
    if full:
        return replace(session, asked=asked_again(session.asked, now))
    if session.asked is not None and session.asked.times and session.view.sequence is not None:
        return replace(session, asked=answered(session.asked))
    return session


def _offered_to(session: Session, report: Report) -> Offered | None:
    """Return what was offered to this very process of the agent.

    Over plain HTTP an agent that was started anew goes on in the same conversation: a full report out of turn
    tells. What its earlier process was offered it never heard of, or lost.
    """
    offered, before = session.offered, session.view
    out_of_turn = before.sequence is not None and report.sequence != before.sequence + 1
    anew = session.greeted and out_of_turn and report.description is not None
    return replace(offered, times=0) if anew and offered is not None else offered
