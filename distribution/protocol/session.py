"""One agent's conversation with the server: a message comes in, a reply and effects come out.

Pure: no I/O, no clock, no waiting. States and what moves them:

    standing    may                                 leaves it by
    ENROLLING   send a certificate request          the end of its connection
    NEXT        everything                          its first message (effect `Promote`), to CURRENT
    CURRENT     everything                          the end of its credential

Rules of offering (OpAMP "Packages", and what real clients do with an offer):

1. Only the complete set, only to an admitted agent that accepts packages, never while it works on one.
2. Once per hash and connection; again, ever more rarely, while the agent's own words show that it does not
   hold it. A release that the agent tried and gave up is offered again more rarely still.
3. No plan, no offer: silence never removes a package.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, TypeAlias

from distribution.domain.agent import (
    AgentView,
    Capability,
    PackageReport,
    PackagesReport,
    PackageState,
    Plan,
    Report,
)
from distribution.domain.offer import Offer
from distribution.protocol.offers import Reply

AGAIN_FIRST: Final = timedelta(minutes=1)
"""Until an offer that is not taken up is made again; doubled each time."""

AGAIN_MOST: Final = timedelta(hours=1)

RETRY_FIRST: Final = timedelta(minutes=10)
"""Until an offer that failed on the agent is made again; doubled each time."""

RETRY_MOST: Final = timedelta(hours=24)

ASK_EVERY: Final = timedelta(seconds=10)
"""Until an agent that does not say everything again is asked once more."""

NOTES_MAX: Final = 120
"""Package events of one agent that are journalled in an hour; the status shows the rest."""

_NOTES_SPAN: Final = timedelta(hours=1)


class Standing(Enum):
    """By what the agent is connected."""

    ENROLLING = "enrolling"
    NEXT = "next"
    CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Offered:
    """The last offer made: its hash, how often to this process of the agent, and when last (aware UTC)."""

    hash: bytes
    times: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Notes:
    """How many package events were journalled since `since` (aware UTC)."""

    since: datetime
    count: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """One connection's state; over plain HTTP, one agent's."""

    view: AgentView
    standing: Standing
    greeted: bool = False
    asked_at: datetime | None = None
    """When it was last asked to (aware UTC)."""
    offered: Offered | None = None
    notes: Notes | None = None
    settled: Plan | None = None
    """The plan for which there is nothing to offer until the agent says something new."""


@dataclass(frozen=True, slots=True)
class Certify:
    """Effect: answer this certificate request (PEM) with a credential or a refusal."""

    csr: bytes


@dataclass(frozen=True, slots=True)
class Promote:
    """Effect: the next credential was used; make it the current one and end the old."""


@dataclass(frozen=True, slots=True)
class PackageEvent:
    """Effect: journal that a package was installed or failed. `path` is the target path, if it was ours."""

    installed: bool
    name: str
    version: str
    path: str
    hash: bytes
    error: str


Effect: TypeAlias = Certify | Promote | PackageEvent


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
    if session.settled is plan and report.is_heartbeat and _follows_on(before, report):
        return Turn(Reply(view.uid), _beaten(session, view))
    if view.problem != plan.problem:
        view = replace(view, problem=plan.problem)
    greeting = not session.greeted
    if session.standing is Standing.ENROLLING:
        after = replace(session, view=view, greeted=True)
        return Turn(Reply(view.uid, greeting=greeting), after, tuple(_requests(report)))
    offered = _offered_to(session, report)
    offer, offered = (None, offered) if report.disconnect else _decide(offered, view, plan, now)
    events, notes = _events(before, report, plan, session.notes, now)
    effects: tuple[Effect, ...] = (*_requests(report), *events)
    if session.standing is Standing.NEXT:
        effects = (Promote(), *effects)
    missed = _has_missed(session, report)
    if missed:
        view = replace(view, sequence=None)  # whatever comes next does not follow on, on any connection
    full = missed and not report.disconnect and _may_ask(session, now)
    after = Session(
        view,
        Standing.CURRENT,
        greeted=True,
        asked_at=now if full else session.asked_at,
        offered=offered,
        notes=notes,
        settled=plan if _is_settled(view, plan) else None,
    )
    return Turn(Reply(view.uid, greeting=greeting, full_state=full, offer=offer), after, effects)


def push(session: Session, plan: Plan, now: datetime) -> Turn:
    """Decide whether a changed plan is told at once; the reply is bare if there is nothing to tell."""
    view = (
        session.view if session.view.problem == plan.problem else replace(session.view, problem=plan.problem)
    )
    if session.standing is Standing.ENROLLING or not session.greeted:
        return Turn(Reply(view.uid), session)
    offer, offered = _decide(session.offered, view, plan, now)
    return Turn(Reply(view.uid, offer=offer), replace(session, view=view, offered=offered))


def _requests(report: Report) -> Iterator[Effect]:
    if report.csr is not None:
        yield Certify(report.csr)


def _follows_on(before: AgentView, report: Report) -> bool:
    return (
        before.sequence is not None
        and report.sequence == before.sequence + 1
        and report.capabilities in (Capability.NONE, before.capabilities)
    )


def _beaten(session: Session, view: AgentView) -> Session:
    """Return the state after a heartbeat: most messages are one, so this spares what they cannot change."""
    return Session(
        view, Standing.CURRENT, True, session.asked_at, session.offered, session.notes, session.settled
    )


def _has_missed(session: Session, report: Report) -> bool:
    """OpAMP "Agent Status Compression": a gap in the numbers means that something did not arrive.

    A first message that describes the agent is a full one, and so is one after a gap: it was asked for.
    """
    before, first = session.view, not session.greeted
    if report.description is not None and (first or before.sequence is None):
        return False
    gap = before.sequence is None or report.sequence != before.sequence + 1
    return gap or (first and before.description is None)


def _may_ask(session: Session, now: datetime) -> bool:
    return session.asked_at is None or now >= session.asked_at + ASK_EVERY


def _decide(
    offered: Offered | None, view: AgentView, plan: Plan, now: datetime
) -> tuple[Offer | None, Offered | None]:
    offer, held = plan.offer, view.packages
    if offer is None or _is_settled(view, plan) or (held is not None and held.busy):
        return None, offered
    failed = held is not None and held.failed(offer)
    if offered is None or offered.hash != offer.hash:
        if failed and offered is None:
            # It failed on an earlier connection: a reconnect is no reason to try at once again.
            return None, Offered(offer.hash, 1, now)
        return offer, Offered(offer.hash, 1, now)
    if now < offered.at + _wait(offered.times, failed=failed):
        return None, offered
    return offer, Offered(offer.hash, offered.times + 1, now)


def _offered_to(session: Session, report: Report) -> Offered | None:
    """Return what was offered to this very process of the agent.

    Over plain HTTP an agent that was started anew goes on in the same conversation: a full report out of turn
    tells. What its earlier process was offered it never heard of, or lost.
    """
    offered, before = session.offered, session.view
    out_of_turn = before.sequence is not None and report.sequence != before.sequence + 1
    anew = session.greeted and out_of_turn and report.description is not None
    return replace(offered, times=0) if anew and offered is not None else offered


def _is_settled(view: AgentView, plan: Plan) -> bool:
    if plan.offer is None or Capability.ACCEPTS_PACKAGES not in view.capabilities:
        return True
    return view.packages is not None and view.packages.holds(plan.offer)


def _wait(times: int, *, failed: bool) -> timedelta:
    first, most = (RETRY_FIRST, RETRY_MOST) if failed else (AGAIN_FIRST, AGAIN_MOST)
    return min(most, first * (1 << min(times - 1, 16))) if times else (first if failed else ASK_EVERY)


def _events(
    before: AgentView, report: Report, plan: Plan, notes: Notes | None, now: datetime
) -> tuple[tuple[PackageEvent, ...], Notes | None]:
    if report.packages is None:
        return (), notes
    if notes is None or now >= notes.since + _NOTES_SPAN:
        notes = Notes(now)
    known = before.packages or PackagesReport()
    found = [
        _event(package, plan)
        for package in report.packages.packages
        if _ended(package) and _ended_differently(known.get(package.name), package)
    ]
    kept = tuple(found[: NOTES_MAX - notes.count])
    return kept, replace(notes, count=notes.count + len(kept))


def _ended(package: PackageReport) -> bool:
    """Whether the package is installed by an offer, or failed."""
    return package.state is PackageState.FAILED or (
        package.state is PackageState.INSTALLED and bool(package.hash)
    )


def _ended_differently(before: PackageReport | None, now: PackageReport) -> bool:
    if before is None or before.state is not now.state:
        return True
    if now.state is PackageState.INSTALLED:
        return before.hash != now.hash
    return (before.offered_hash, before.error) != (now.offered_hash, now.error)


def _event(package: PackageReport, plan: Plan) -> PackageEvent:
    installed = package.state is PackageState.INSTALLED
    wanted = package.hash if installed else package.offered_hash
    offered = plan.offer.packages if plan.offer is not None else ()
    path = next((str(ours.artifact.path) for ours in offered if ours.hash == wanted), "")
    version = package.version if installed else package.offered_version
    return PackageEvent(installed, package.name, version, path, wanted, package.error)
