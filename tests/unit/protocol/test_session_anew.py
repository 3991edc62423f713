"""An agent that is started anew within one conversation, as happens over plain HTTP, is offered anew."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from distribution.domain.agent import (
    AgentView,
    Capability,
    Description,
    PackagesReport,
    PackageState,
    Plan,
    Report,
)
from distribution.protocol.pacing import ASK_EVERY, RETRY_FIRST
from distribution.protocol.session import Session, Standing, Turn, step
from tests.fakes.offers import a_status, an_offer

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
UID = UUID(int=7)
OFFER = an_offer()
PLAN = Plan(OFFER, 30)
DESCRIPTION = Description(attributes={"os.type": "linux", "host.arch": "amd64"})
SOON = timedelta(seconds=1)


def full(sequence: int, packages: PackagesReport | None = None) -> Report:
    return Report(UID, sequence, Capability.ACCEPTS_PACKAGES, description=DESCRIPTION, packages=packages)


def offered_at_five(packages: PackagesReport | None = None) -> Turn:
    """An agent whose fifth message was answered with the offer."""
    before = step(Session(AgentView(UID), Standing.CURRENT), full(4), Plan(None, 30), NOW)
    turn = step(before.session, replace(full(5, packages), description=None), PLAN, NOW)
    assert turn.reply.offer == OFFER
    return turn


def test_what_an_earlier_process_was_offered_is_offered_again_soon() -> None:
    """Its full report does not follow on; what it says when it is asked is answered with the offer."""
    early = step(offered_at_five().session, full(0), PLAN, NOW + SOON)
    assert (early.reply.offer, early.reply.full_state) == (None, True)
    late = step(early.session, full(1), PLAN, NOW + ASK_EVERY)
    assert late.reply.offer == OFFER


def test_a_gap_alone_is_no_new_process() -> None:
    """A message that merely does not follow on, as when one was lost, is not answered with the offer."""
    lost = Report(UID, 9, Capability.ACCEPTS_PACKAGES)
    assert step(offered_at_five().session, lost, PLAN, NOW + ASK_EVERY).reply.offer is None


def test_a_new_process_does_not_hurry_what_failed() -> None:
    """An offer that failed on the agent waits as long after a restart as without one."""
    anew = full(0, a_status(PackageState.FAILED, OFFER, error="crashed"))
    turn = step(offered_at_five().session, anew, PLAN, NOW + ASK_EVERY)
    assert turn.reply.offer is None
    assert step(turn.session, replace(anew, sequence=1), PLAN, NOW + RETRY_FIRST).reply.offer == OFFER
