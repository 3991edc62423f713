"""When an offer is made and when it is made again."""

from datetime import UTC, datetime, timedelta

import pytest

from distribution.protocol.pacing import (
    AGAIN_FIRST,
    AGAIN_MOST,
    ASK_EVERY,
    NEVER,
    RETRY_FIRST,
    RETRY_MOST,
    STUCK_AFTER,
    Earlier,
    Offered,
    Stance,
    decide,
    due,
    quiet_until,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
DIGEST, OTHER = b"d" * 32, b"o" * 32
MADE = Offered(DIGEST, 1, NOW, 1)


@pytest.mark.parametrize("stance", [Stance.HELD, Stance.BUSY])
def test_what_is_held_or_worked_on_is_left_alone(stance: Stance) -> None:
    """Nothing is offered, and nothing is forgotten."""
    assert decide(MADE, OTHER, stance, NOW + RETRY_MOST) == (0, MADE)


def test_the_first_offer_is_made_at_once() -> None:
    """With the number one; another content too, whatever was offered before."""
    assert decide(None, DIGEST, Stance.OPEN, NOW) == (1, MADE)
    assert decide(MADE, OTHER, Stance.FAILED, NOW) == (1, Offered(OTHER, 1, NOW, 1))


def test_what_failed_before_a_reconnect_is_waited_out_and_numbered_on() -> None:
    """The number that the agent speaks of is never offered again."""
    waiting, kept = decide(None, DIGEST, Stance.FAILED, NOW, tried=3)
    assert (waiting, kept) == (0, Offered(DIGEST, 1, NOW, 3))
    assert decide(kept, DIGEST, Stance.FAILED, NOW + RETRY_FIRST - ASK_EVERY, tried=3)[0] == 0
    assert decide(kept, DIGEST, Stance.FAILED, NOW + RETRY_FIRST, tried=3)[0] == 4


def test_what_is_being_applied_is_waited_for_but_not_for_ever() -> None:
    """A process that died while applying is offered the same again, under another number."""
    waiting, kept = decide(None, DIGEST, Stance.APPLYING, NOW, tried=2)
    assert (waiting, kept) == (0, Offered(DIGEST, 1, NOW, 2))
    assert decide(kept, DIGEST, Stance.APPLYING, NOW + STUCK_AFTER - ASK_EVERY)[0] == 0
    assert decide(kept, DIGEST, Stance.APPLYING, NOW + STUCK_AFTER)[0] == 3


@pytest.mark.parametrize("stance", [Stance.OPEN, Stance.APPLYING, Stance.FAILED])
def test_a_clock_that_was_set_back_stops_nothing(stance: Stance) -> None:
    """What is waited for begins anew: it is offered again after the usual time, not after a day and that."""
    back = NOW - timedelta(days=1)
    number, kept = decide(MADE, DIGEST, stance, back)
    assert (number, kept) == (0, Offered(DIGEST, 1, back, 1))
    assert kept is not None
    assert decide(kept, DIGEST, stance, back + ASK_EVERY) == (0, kept)
    assert decide(kept, DIGEST, stance, due(kept, stance))[0] == 2


def test_every_try_has_another_number_and_a_longer_wait() -> None:
    """Silence is answered after one minute, two, four."""
    number, kept = decide(MADE, DIGEST, Stance.OPEN, NOW + AGAIN_FIRST)
    assert number == 2
    assert kept is not None
    assert due(kept, Stance.OPEN) - kept.at == 2 * AGAIN_FIRST


@pytest.mark.parametrize(
    ("stance", "times", "wait"),
    [
        (Stance.OPEN, 500, AGAIN_MOST),
        (Stance.FAILED, 500, RETRY_MOST),
        (Stance.FAILED, 0, RETRY_FIRST),
        (Stance.OPEN, 0, ASK_EVERY),
    ],
)
def test_waits_are_bounded(stance: Stance, times: int, wait: timedelta) -> None:
    """However often it was offered; and a process that never heard of it waits the least."""
    assert due(Offered(DIGEST, times, NOW), stance) == NOW + wait


def test_first_wait_after_a_failure_is_the_operators_choice() -> None:
    """The setting replaces the usual ten minutes, and may be longer than the usual longest."""
    assert due(MADE, Stance.FAILED, timedelta(seconds=2)) == NOW + timedelta(seconds=2)
    assert due(MADE, Stance.FAILED, timedelta(days=3)) == NOW + timedelta(days=3)


@pytest.mark.parametrize("stance", list(Stance))
@pytest.mark.parametrize("made", [None, MADE, Offered(DIGEST, 4, NOW, 4)])
def test_nothing_is_offered_in_the_quiet_and_something_at_its_end(
    made: Offered | None, stance: Stance
) -> None:
    """What `decide` left is left as it is until then; where only words count there is no end."""
    _, kept = decide(made, DIGEST, stance, NOW)
    end = quiet_until(kept, stance)
    if end is NEVER:
        assert kept is None or stance in (Stance.HELD, Stance.BUSY)
        assert decide(kept, DIGEST, stance, NOW + 2 * RETRY_MOST) == (0, kept)
        return
    assert end > NOW
    assert decide(kept, DIGEST, stance, end - timedelta(seconds=1)) == (0, kept)
    assert decide(kept, DIGEST, stance, end)[0] > 0


@pytest.mark.parametrize("stance", [Stance.FAILED, Stance.APPLYING])
def test_what_was_taken_up_before_counts(stance: Stance) -> None:
    """Of connections before, the offer that the agent tried or is trying is waited from."""
    earlier = Earlier(Offered(b"a", 3, NOW), Offered(b"b", 2, NOW))
    assert earlier.packages_if(b"a", stance) == Offered(b"a", 3, NOW)
    assert earlier.config_if(b"b", stance) == Offered(b"b", 2, NOW)


def test_what_was_not_taken_up_before_does_not_count() -> None:
    """Another content, or an offer that the agent says nothing of, is offered at once."""
    earlier = Earlier(Offered(b"a", 3, NOW))
    assert earlier.packages_if(b"b", Stance.FAILED) is None
    assert earlier.packages_if(b"a", Stance.OPEN) is None
    assert earlier.config_if(b"a", Stance.FAILED) is None
