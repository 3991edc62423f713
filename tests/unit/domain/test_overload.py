"""domain/overload.py: who is turned away, and for how long."""

import pytest

from distribution.domain.overload import (
    LATE_SECONDS,
    ORDERS_WAIT_SECONDS,
    RETRY_LEAST_SECONDS,
    RETRY_MOST_SECONDS,
    Strain,
    retry_after,
    smoothed,
    why_not,
)


@pytest.mark.parametrize("enrolls", [True, False])
def test_at_rest_everybody_is_let_in(*, enrolls: bool) -> None:
    """Up to the bounds, and at them, nobody is turned away."""
    assert why_not(Strain(LATE_SECONDS, ORDERS_WAIT_SECONDS), enrolls=enrolls) is None


@pytest.mark.parametrize("enrolls", [True, False])
def test_a_late_loop_turns_everybody_away(*, enrolls: bool) -> None:
    """The reason names both values."""
    reason = why_not(Strain(loop_late=0.7), enrolls=enrolls)
    assert reason == "server is overloaded: 0.7 s late, at most 0.5 s are borne"


def test_a_slow_worker_turns_away_only_who_needs_it() -> None:
    """A known agent needs no certificate to be let in."""
    strain = Strain(oldest_order=6.0)
    assert why_not(strain, enrolls=False) is None
    assert "a certificate request waits for 6 s" in str(why_not(strain, enrolls=True))


@pytest.mark.parametrize(
    ("least", "share", "expected"),
    [
        (0.0, 0.0, RETRY_LEAST_SECONDS),
        (0.0, 0.999999, RETRY_MOST_SECONDS),
        (0.0, 0.5, 18),
        (7.2, 0.0, 8),
        (100.0, 0.5, 113),
    ],
)
def test_pauses_differ(least: float, share: float, expected: int) -> None:
    """The pause lies between its bounds by chance, and is never shorter than it must be."""
    assert retry_after(least, share) == expected


def test_one_slow_step_is_no_strain() -> None:
    """A second's stall alone does not turn anybody away, three in a row do."""
    late = smoothed(0.0, 1.0)
    assert late < LATE_SECONDS
    assert smoothed(smoothed(late, 1.0), 1.0) > LATE_SECONDS
