"""The garbage collector and the threads are told to take small portions."""

import gc
import sys
from collections.abc import Iterator

import pytest

from distribution.compose.pauses import FULL, MIDDLE, SWITCH_SECONDS, YOUNG, settle


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before, switch = gc.get_threshold(), sys.getswitchinterval()
    yield
    sys.setswitchinterval(switch)
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_is_there_is_put_aside() -> None:
    """A full collection does not look at what existed before, and portions are small from then on."""
    kept = [[number] for number in range(1000)]
    settle()
    assert gc.get_freeze_count() >= len(kept)
    assert not any(each is kept[0] for each in gc.get_objects())
    assert gc.get_threshold() == (YOUNG, MIDDLE, FULL)


def test_another_thread_soon_lets_go() -> None:
    """The loop waits for a thread that computes far less long than Python has it by default."""
    settle()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    assert SWITCH_SECONDS < 0.001
