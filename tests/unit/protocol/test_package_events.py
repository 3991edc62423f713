"""Which words about packages are journalled."""

from datetime import timedelta

from distribution.domain.agent import (
    PackageReport,
    PackagesReport,
    PackageState,
)
from distribution.protocol import package_events
from distribution.protocol.effects import PackageEvent
from distribution.protocol.session import step
from tests.fakes.offers import a_status, an_offer
from tests.fakes.session_parts import HELD, NOW, OFFER, PLAN, QUIET, a_failure, a_report, a_session, greeted


def test_installed_package_is_noted_once() -> None:
    """An installation by our offer is an event, with the target path it came from."""
    package = OFFER.packages[0]
    first = step(a_session(), a_report(packages=HELD), PLAN, NOW)
    again = step(first.session, a_report(1, packages=HELD), PLAN, NOW)
    path = "acme/otelcol/1.0.0/linux-amd64/otelcol"
    assert first.effects == (PackageEvent(True, "otelcol", "1.0.0", path, package.hash, ""),)
    assert again.effects == ()


def test_failed_package_is_noted_with_its_reason() -> None:
    """A failure names the offered version and why; the same failure said again is no news."""
    package = OFFER.packages[0]
    failed = a_failure("exit status 1")
    first = step(a_session(), a_report(packages=failed), PLAN, NOW)
    again = step(first.session, a_report(1, packages=failed), PLAN, NOW)
    other = step(again.session, a_report(2, packages=a_failure("exit 2")), PLAN, NOW)
    path = "acme/otelcol/1.0.0/linux-amd64/otelcol"
    assert first.effects == (PackageEvent(False, "otelcol", "1.0.0", path, package.hash, "exit status 1"),)
    assert again.effects == ()
    assert len(other.effects) == 1


def test_package_of_another_hash_is_noted_without_a_path() -> None:
    """What is installed but not offered now still is an event; its path is not ours to say."""
    older = a_status(PackageState.INSTALLED, an_offer("0.9.0"))
    newer = a_status(PackageState.INSTALLED, an_offer("0.9.1"))
    first = step(a_session(), a_report(packages=older), QUIET, NOW)
    second = step(first.session, a_report(1, packages=newer), QUIET, NOW)
    assert [effect.path for effect in first.effects if isinstance(effect, PackageEvent)] == [""]
    assert len(second.effects) == 1


def test_local_and_unfinished_packages_are_no_events() -> None:
    """What the agent brought itself, and what is under way, is status only."""
    packages = PackagesReport(
        (PackageReport("local", PackageState.INSTALLED, "1.0.0"), PackageReport("x", PackageState.PENDING))
    )
    assert step(a_session(), a_report(packages=packages), QUIET, NOW).effects == ()


def test_flood_of_events_is_bounded() -> None:
    """An agent that fails something new with every message fills the journal no faster than allowed."""
    state, noted = greeted(), 0
    for number in range(package_events.NOTES_MAX + 20):
        failed = a_failure(str(number))
        turn = step(state, a_report(number + 1, packages=failed), QUIET, NOW)
        state, noted = turn.session, noted + len(turn.effects)
    assert noted == package_events.NOTES_MAX
    later = step(state, a_report(999, packages=a_failure()), QUIET, NOW + timedelta(hours=1))
    assert len(later.effects) == 1
