"""A loop of fixed work beside which other work is measured: how slow or busy the machine is falls out."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

TURNS: Final = 30_000
TRIES: Final = 4


def walk() -> int:
    """Look at bytes one by one, as whoever reads varints in Python."""
    data, at, found = b"\xa0\x06\x00\x12" * 256, 0, 0
    for _ in range(TURNS):
        byte = data[at]
        at = (at + 1) & 1023
        if byte & 0x80:
            found += byte & 0x7F
        else:
            found ^= byte
    return found


@contextmanager
def unwatched() -> Iterator[None]:
    """Have no tracer look on: coverage makes one loop dearer than another, by its lines and calls."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def in_walks(act: Callable[[], object]) -> float:
    """Return how many walks `act` takes: the best try of each, by turns, in this thread's own time."""
    walks, acts = [], []
    with unwatched():
        for _ in range(TRIES):
            begun = time.thread_time()
            walk()
            between = time.thread_time()
            act()
            walks.append(between - begun)
            acts.append(time.thread_time() - between)
    return min(acts) / min(walks)
