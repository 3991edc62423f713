"""domain/states.py: equal content is one state, and a change of another one is refused with both."""

import re

import pytest

from distribution.domain.states import NEW, PATTERN, require_state, state_of
from distribution.errors import ConflictError

ONE, OTHER = state_of("channel", {"a": 1, "b": 2}), state_of("channel", {"a": 1, "b": 3})


def test_equal_content_is_one_state() -> None:
    """Neither the order of keys nor who asks changes it; any other value does, and so does the kind."""
    assert state_of("channel", {"b": 2, "a": 1}) == ONE
    assert len({ONE, OTHER, state_of("labels", {"a": 1, "b": 2}), state_of("channel", "a", 1)}) == 4


@pytest.mark.parametrize("found", [ONE, NEW])
def test_every_state_may_be_named(found: str) -> None:
    """What is shown fits what is read."""
    assert re.fullmatch(PATTERN, found)


@pytest.mark.parametrize(("expected", "found"), [(None, ONE), (None, None), (ONE, ONE), (NEW, None)])
def test_what_is_as_it_was_seen_may_be_changed(expected: str | None, found: str | None) -> None:
    """Also by a caller that names no state."""
    require_state("channel 'x'", expected, found)


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        (ONE, OTHER, f"channel 'x' is at state {OTHER} (a@2 by ann), expected at state {ONE}: somebody"),
        (ONE, None, f"channel 'x' is not there, expected at state {ONE}: somebody changed it meanwhile"),
        (NEW, ONE, f"channel 'x' is at state {ONE} (a@2 by ann), expected to be new: somebody"),
    ],
)
def test_what_was_changed_meanwhile_is_refused(expected: str, found: str | None, said: str) -> None:
    """The refusal names the thing, what was found and by whom, and what was expected."""
    with pytest.raises(ConflictError, match=re.escape(said)):
        require_state("channel 'x'", expected, found, "a@2 by ann")
