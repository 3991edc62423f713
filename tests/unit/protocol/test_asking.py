"""When an agent is asked to say everything."""

from datetime import UTC, datetime, timedelta

import pytest

from distribution.protocol.asking import ASK_MOST, Asked, answered, asked_again, may_ask
from distribution.protocol.pacing import ASK_EVERY

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MOMENT = timedelta(seconds=1)


def test_who_was_never_asked_is_asked_at_once() -> None:
    """And that it was is remembered."""
    assert may_ask(None, NOW)
    assert asked_again(None, NOW) == Asked(NOW, 1)


@pytest.mark.parametrize(("times", "pauses"), [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32)])
def test_each_question_without_an_answer_doubles_the_pause(times: int, pauses: int) -> None:
    """Ten seconds after the first, and as long after one that was answered."""
    asked = Asked(NOW, times)
    assert not may_ask(asked, NOW + pauses * ASK_EVERY - MOMENT)
    assert may_ask(asked, NOW + pauses * ASK_EVERY)


def test_pauses_are_bounded() -> None:
    """However often it was asked."""
    assert Asked(NOW, 10_000).again_at == NOW + ASK_MOST


def test_a_clock_that_was_set_back_is_not_waited_for() -> None:
    """What was asked in the future was asked before that."""
    assert may_ask(Asked(NOW), NOW - MOMENT)


def test_an_answer_begins_the_count_anew() -> None:
    """When it was asked is remembered all the same; nothing is of who never was."""
    assert answered(None) is None
    assert answered(asked_again(Asked(NOW, 3), NOW + MOMENT)) == Asked(NOW + MOMENT, 0)
    assert asked_again(Asked(NOW, 0), NOW) == Asked(NOW, 1)
