"""Which words about packages are journalled."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from distribution.domain.agent import (
    AgentView,
    Capability,
    Description,
    PackageReport,
    PackagesReport,
    PackageState,
    Plan,
    Report,
)
from distribution.protocol import package_events
from distribution.protocol.effects import PackageEvent
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


def _session(standing: Standing = Standing.CURRENT, **known: object) -> Session:
    return Session(replace(AgentView(UID), **known), standing)  # type: ignore[arg-type] # any part of a view


def _report(sequence: int = 0, **said: object) -> Report:
    return replace(Report(UID, sequence, ABLE), **said)  # type: ignore[arg-type] # any part of a report


def _failed(error: str = "") -> PackagesReport:
    return a_status(PackageState.FAILED, OFFER, error=error)


def _greeted(plan: Plan = QUIET) -> Session:
    return step(_session(), _report(description=DESCRIPTION), plan, NOW).session


def test_installed_package_is_noted_once() -> None:
    """An installation by our offer is an event, with the target path it came from."""
    package = OFFER.packages[0]
    first = step(_session(), _report(packages=HELD), PLAN, NOW)
    again = step(first.session, _report(1, packages=HELD), PLAN, NOW)
    path = "acme/otelcol/1.0.0/linux-amd64/otelcol"
    assert first.effects == (PackageEvent(True, "otelcol", "1.0.0", path, package.hash, ""),)
    assert again.effects == ()


def test_failed_package_is_noted_with_its_reason() -> None:
    """A failure names the offered version and why; the same failure said again is no news."""
    package = OFFER.packages[0]
    failed = _failed("exit status 1")
    first = step(_session(), _report(packages=failed), PLAN, NOW)
    again = step(first.session, _report(1, packages=failed), PLAN, NOW)
    other = step(again.session, _report(2, packages=_failed("exit 2")), PLAN, NOW)
    path = "acme/otelcol/1.0.0/linux-amd64/otelcol"
    assert first.effects == (PackageEvent(False, "otelcol", "1.0.0", path, package.hash, "exit status 1"),)
    assert again.effects == ()
    assert len(other.effects) == 1


def test_package_of_another_hash_is_noted_without_a_path() -> None:
    """What is installed but not offered now still is an event; its path is not ours to say."""
    older = a_status(PackageState.INSTALLED, an_offer("0.9.0"))
    newer = a_status(PackageState.INSTALLED, an_offer("0.9.1"))
    first = step(_session(), _report(packages=older), QUIET, NOW)
    second = step(first.session, _report(1, packages=newer), QUIET, NOW)
    assert [effect.path for effect in first.effects if isinstance(effect, PackageEvent)] == [""]
    assert len(second.effects) == 1


def test_local_and_unfinished_packages_are_no_events() -> None:
    """What the agent brought itself, and what is under way, is status only."""
    packages = PackagesReport(
        (PackageReport("local", PackageState.INSTALLED, "1.0.0"), PackageReport("x", PackageState.PENDING))
    )
    assert step(_session(), _report(packages=packages), QUIET, NOW).effects == ()


def test_flood_of_events_is_bounded() -> None:
    """An agent that fails something new with every message fills the journal no faster than allowed."""
    state, noted = _greeted(), 0
    for number in range(package_events.NOTES_MAX + 20):
        failed = _failed(str(number))
        turn = step(state, _report(number + 1, packages=failed), QUIET, NOW)
        state, noted = turn.session, noted + len(turn.effects)
    assert noted == package_events.NOTES_MAX
    later = step(state, _report(999, packages=_failed()), QUIET, NOW + timedelta(hours=1))
    assert len(later.effects) == 1
