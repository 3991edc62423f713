"""Whether an agent is there."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from distribution.domain.agent import (
    AgentView,
    Capability,
    Health,
    PackageReport,
    PackagesReport,
    PackageState,
)
from distribution.domain.liveness import (
    Delivery,
    Liveness,
    Patience,
    Wellbeing,
    delivery,
    liveness,
    wellbeing,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PATIENCE = Patience(timedelta(seconds=10), 3, timedelta(hours=1))
BEATS = Capability.REPORTS_HEARTBEAT
OBEYS = Capability.REPORTS_HEARTBEAT | Capability.ACCEPTS_CONNECTION_SETTINGS
HERE, STALE, GONE = Liveness.CONNECTED, Liveness.STALE, Liveness.GONE


def view(
    seconds: float | None,
    capabilities: Capability = Capability.NONE,
    *,
    connected: bool = True,
    polls: bool = False,
) -> AgentView:
    seen = None if seconds is None else NOW - timedelta(seconds=seconds)
    return AgentView(UUID(int=1), capabilities=capabilities, connected=connected, last_seen=seen, polls=polls)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (view(30, OBEYS), HERE),
        (view(31, OBEYS), STALE),
        (view(3601, OBEYS), GONE),
        (view(90, BEATS), HERE),
        (view(91, BEATS), STALE),
        (view(3_000_000), HERE),
        (view(90, polls=True), HERE),
        (view(91, polls=True), STALE),
        (view(31, Capability.ACCEPTS_CONNECTION_SETTINGS, polls=True), STALE),
        (view(0, OBEYS, connected=False), STALE),
        (view(3600, connected=False), STALE),
        (view(3601, connected=False), GONE),
        (view(None, connected=False), GONE),
        (view(-30, OBEYS), HERE),
        (view(-31, OBEYS), STALE),
        (view(-3_000_000), HERE),
        (view(-3600, connected=False), STALE),
        (view(-3601, connected=False), GONE),
        (view(-3601, OBEYS), GONE),
    ],
    ids=[
        "the third beat that we asked for",
        "three beats missed",
        "an hour without a word",
        "one that takes no settings beats as clients do",
        "and misses three of those",
        "no beats promised: as long as its socket",
        "a poller in time",
        "a poller that missed three",
        "a poller that takes our settings polls as told",
        "a connection that ended",
        "away for an hour",
        "and longer",
        "never heard",
        "the clock was set back by less than it may be silent",
        "by more: nobody knows for how long it has been silent",
        "whose socket is all that counts",
        "away, and the clock was set back",
        "by more than the time after which it is gone",
        "and connected, as it was before",
    ],
)
def test_an_agent_is_there_as_long_as_it_is_heard_when_it_is_due(seen: AgentView, expected: Liveness) -> None:
    """Polls, heartbeats and sockets each have their own time."""
    assert liveness(seen, PATIENCE, NOW) is expected


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (None, Wellbeing.UNKNOWN),
        (Health(healthy=True), Wellbeing.HEALTHY),
        (Health(healthy=False), Wellbeing.UNHEALTHY),
    ],
)
def test_health_is_what_the_agent_says(health: Health | None, expected: Wellbeing) -> None:
    """Nothing said is neither well nor ill."""
    assert wellbeing(AgentView(UUID(int=1), health=health)) is expected


def test_silence_is_noticed_however_far_the_clock_was_set_back() -> None:
    """An agent that fell silent is not counted as connected for as long as the clock was set back."""
    for hours in (0, 1, 24, 9000):
        silent = view(0, OBEYS)
        later = NOW - timedelta(hours=hours) + 2 * timedelta(seconds=30) + timedelta(seconds=1)
        assert liveness(silent, PATIENCE, later) is not Liveness.CONNECTED, hours
        assert liveness(silent, PATIENCE, later, later) is Liveness.CONNECTED


def test_a_heartbeat_of_its_own_is_waited_for() -> None:
    """Set to five minutes, it is late after fifteen; set to a second, it has as long as the others."""
    slow, quick = timedelta(minutes=5), timedelta(seconds=1)
    for own, seconds, expected in (
        (slow, 900, HERE),
        (slow, 901, STALE),
        (quick, 30, HERE),
        (quick, 31, STALE),
    ):
        assert liveness(view(seconds, OBEYS), PATIENCE, NOW, own_beat=own) is expected
    assert liveness(view(91, BEATS), PATIENCE, NOW, own_beat=slow) is STALE, "it takes no settings"


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (None, Delivery.SETTLED),
        ((), Delivery.SETTLED),
        ((PackageState.INSTALLED, PackageState.PENDING), Delivery.SETTLED),
        ((PackageState.INSTALLED, PackageState.DOWNLOADING), Delivery.BUSY),
        ((PackageState.INSTALLING, PackageState.FAILED), Delivery.FAILED),
    ],
)
def test_a_failed_package_is_what_counts(states: tuple[PackageState, ...] | None, expected: Delivery) -> None:
    """Before what is under way; who speaks of no package has nothing to be looked for."""
    told = None if states is None else PackagesReport(tuple(PackageReport("p", state) for state in states))
    assert delivery(AgentView(UUID(int=1), packages=told)) is expected
