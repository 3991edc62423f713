"""The garbage collector is told to take small portions."""

import gc
from collections.abc import Iterator

import pytest

from distribution.compose.collector import FULL, MIDDLE, YOUNG, settle


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_is_there_is_put_aside() -> None:
    """A full collection does not look at what existed before, and portions are small from then on."""
    kept = [[number] for number in range(1000)]
    settle()
    assert gc.get_freeze_count() >= len(kept)
    assert not any(each is kept[0] for each in gc.get_objects())
    assert gc.get_threshold() == (YOUNG, MIDDLE, FULL)
