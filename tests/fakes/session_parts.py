"""What the tests of the conversation are made of: one agent, what it may be to have, what it says."""

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
from distribution.protocol.session import Session, Standing, step
from tests.fakes.offers import a_status, an_offer

UID = UUID("0192f2a1-7c3e-7abc-8def-0123456789ab")
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LATER = timedelta(seconds=30)
DESCRIPTION = Description({"service.name": "otelcol"}, {"os.type": "linux", "host.arch": "amd64"})
ABLE = Capability.REPORTS_STATUS | Capability.ACCEPTS_PACKAGES
OFFER = an_offer()
PLAN = Plan(OFFER, 30)
QUIET = Plan(None, 30)
HELD = a_status(PackageState.INSTALLED, OFFER)


def a_session(standing: Standing = Standing.CURRENT, **known: object) -> Session:
    """Return a conversation that has not begun, with an agent of which so much is known."""
    return Session(replace(AgentView(UID), **known), standing)  # type: ignore[arg-type] # any part of a view


def a_report(sequence: int = 0, **said: object) -> Report:
    """Return a message of this number that says so much."""
    return replace(Report(UID, sequence, ABLE), **said)  # type: ignore[arg-type] # any part of a report


def a_failure(error: str = "") -> PackagesReport:
    """Return what an agent says that could not install the offer."""
    return a_status(PackageState.FAILED, OFFER, error=error)


def greeted(plan: Plan = QUIET) -> Session:
    """Return the conversation after the agent's first full message."""
    return step(a_session(), a_report(description=DESCRIPTION), plan, NOW).session
