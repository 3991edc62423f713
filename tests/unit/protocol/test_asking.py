"""When an agent is asked to say everything."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from distribution.domain.agent import AgentView, Description, Report
from distribution.protocol.asking import (
    ASK_MOST,
    UNANSWERED_MOST,
    Asked,
    answered,
    asked_again,
    has_missed,
    is_unsure,
    kept,
    may_ask,
    unkept,
)
from distribution.protocol.pacing import ASK_EVERY

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MOMENT = timedelta(seconds=1)
UID = UUID("0192f2a1-7c3e-7abc-8def-0123456789ab")
VIEW = AgentView(UID, connected=True, sequence=4)


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


def test_words_that_were_lost_here_are_asked_for_seldom() -> None:
    """Ever more so, as of one that was asked in vain; meanwhile nothing waits for them."""
    asked: Asked | None = None
    for seconds in (80, 160, 320, 600, 600):
        asked = unkept(answered(asked), NOW)
        assert not may_ask(asked, NOW + timedelta(seconds=seconds - 1))
        assert may_ask(asked, NOW + timedelta(seconds=seconds))
        assert not is_unsure(replace(VIEW, sequence=None), asked)
    assert unkept(kept(asked), NOW) == unkept(None, NOW)
    assert kept(None) is None


def test_when_an_agent_may_be_working_unseen() -> None:
    """It is connected, something is missing, and it may still say it."""
    missing = replace(VIEW, sequence=None)
    assert is_unsure(missing, None)
    assert is_unsure(missing, Asked(NOW, UNANSWERED_MOST - 1))
    assert not is_unsure(missing, Asked(NOW, UNANSWERED_MOST))
    assert not is_unsure(VIEW, None)
    assert not is_unsure(replace(missing, connected=False), None)


@pytest.mark.parametrize(
    ("before", "sequence", "described", "first", "missed"),
    [
        (4, 5, False, False, False),
        (4, 6, False, False, True),
        (None, 6, False, False, True),
        (None, 6, True, False, False),
        (4, 9, True, True, False),
        (4, 5, False, True, True),  # nothing is known of it
        (4, 9, True, False, True),  # it may be a mere change
    ],
)
def test_when_something_is_missing(
    before: int | None,
    sequence: int,
    described: bool,  # noqa: FBT001 - a case
    first: bool,  # noqa: FBT001 - a case
    missed: bool,  # noqa: FBT001 - a case
) -> None:
    """By the numbers, and by whether the message is a full one."""
    report = Report(UID, sequence, description=Description() if described else None)
    assert has_missed(replace(VIEW, sequence=before), report, first=first) is missed
