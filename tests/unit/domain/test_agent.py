"""What an agent told us, as values."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from distribution.domain.agent import (
    AgentView,
    Capability,
    Description,
    Health,
    PackageReport,
    PackagesReport,
    PackageState,
    Report,
)
from distribution.domain.attempts import numbered
from distribution.domain.connections import ConnectionState, ConnectionStatus
from distribution.domain.offer import Offer
from tests.fakes.offers import an_offer

UID = UUID("0192f2a1-7c3e-7abc-8def-0123456789ab")
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
OFFER = an_offer()
PACKAGE = OFFER.packages[0]


def _held(state: PackageState = PackageState.INSTALLED, held: bytes = PACKAGE.hash) -> PackagesReport:
    report = PackageReport("otelcol", state, "1.0.0", held, "1.0.0", PACKAGE.hash)
    return PackagesReport((report,), numbered(OFFER.hash, 1))


def test_heartbeat_keeps_what_was_said() -> None:
    """What a report leaves out stays; its number and time are taken."""
    full = Report(UID, 1, Capability.REPORTS_STATUS, Description(), Health(healthy=True), PackagesReport())
    before = AgentView(UID, {"ring": "a"}, problem="x").heard(full, NOW)
    after = before.heard(Report(UID, 2), NOW)
    assert after == AgentView(
        UID,
        labels={"ring": "a"},
        description=Description(),
        capabilities=Capability.REPORTS_STATUS,
        health=Health(healthy=True),
        packages=PackagesReport(),
        connected=True,
        last_seen=NOW,
        sequence=2,
        problem="x",
    )


def test_a_status_of_settings_that_names_none_is_no_word_of_one_that_reports_none() -> None:
    """That it was offered some stays known; of an agent that reports the status it says that it has none."""
    told, nothing = ConnectionStatus(ConnectionState.UNSET, b"hash"), ConnectionStatus(ConnectionState.UNSET)
    failed = ConnectionStatus(ConnectionState.FAILED, b"hash")
    mute = AgentView(UID, capabilities=Capability.REPORTS_STATUS, connections=told)
    able = AgentView(UID, capabilities=Capability.REPORTS_CONNECTION_STATUS, connections=told)
    assert mute.heard(Report(UID, 2, connection_status=nothing), NOW).connections is told
    assert mute.heard(Report(UID, 2, connection_status=failed), NOW).connections == failed
    assert able.heard(Report(UID, 2, connection_status=nothing), NOW).connections == nothing


def test_goodbye_disconnects() -> None:
    """The last message of a connection says that there is none."""
    assert not AgentView(UID).heard(Report(UID, 1, disconnect=True), NOW).connected


@pytest.mark.parametrize(
    ("report", "heartbeat"),
    [
        (Report(UID, 1, Capability.REPORTS_STATUS), True),
        (Report(UID, 1, description=Description()), False),
        (Report(UID, 1, health=Health(healthy=True)), False),
        (Report(UID, 1, packages=PackagesReport()), False),
        (Report(UID, 1, csr=b"x"), False),
        (Report(UID, 1, disconnect=True), False),
    ],
)
def test_heartbeat_says_nothing_else(report: Report, *, heartbeat: bool) -> None:
    """Any part makes it more than one."""
    assert report.is_heartbeat is heartbeat


@pytest.mark.parametrize(
    ("description", "platform"),
    [
        (None, None),
        (Description({}, {"os.type": "linux"}), None),
        (Description({}, {"os.type": "linux", "host.arch": "arm64"}), "linux-arm64"),
        (Description({"os.type": "linux", "host.arch": "amd64"}, {}), "linux-amd64"),
    ],
)
def test_platform_needs_both_halves(description: Description | None, platform: str | None) -> None:
    """System and architecture, from whichever attributes have them."""
    assert AgentView(UID, description=description).platform == platform


def test_offer_is_held_when_every_hash_agrees() -> None:
    """The packages' hashes, their state and the hash of the set."""
    assert _held().holds(OFFER)
    assert not _held(PackageState.PENDING).holds(OFFER)
    assert not _held(held=b"other").holds(OFFER)
    assert not PackagesReport(_held().packages, b"other").holds(OFFER)
    assert PackagesReport((), numbered(Offer(()).hash, 1)).holds(Offer(()))


def test_failure_is_of_this_very_offer() -> None:
    """A failure of another version is no failure of this one."""
    assert _held(PackageState.FAILED).failed(OFFER)
    assert not _held(PackageState.FAILED).failed(an_offer("1.1.0"))
    assert not _held().failed(OFFER)


def test_package_is_found_by_name() -> None:
    """One that is not reported is None."""
    assert _held().get("otelcol") == _held().packages[0]
    assert _held().get("other") is None
