"""How long work in one thread lets the others have their turn.

Threads share one interpreter, and who waits for it waits for as long as work goes on in one piece. So long
work is cut: after so much of it the thread sleeps for a moment.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

WORK_SECONDS: Final = 0.001
"""Work between two breaths, about: what an answer may have to wait for. To wait oneself is no work."""

BREATH_SECONDS: Final = 0.0001

_STRETCH: Final = 200
"""Items between two looks at the clock."""

_T = TypeVar("_T")


class Breath:
    """Called between pieces of one piece of long work. For one thread."""

    def __init__(
        self, clock: Callable[[], float] = time.thread_time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Begin now. `clock` tells how long this thread worked; it and `sleep` are in seconds."""
        self._clock, self._sleep = clock, sleep
        self._since = clock()

    def __call__(self) -> None:
        """Let other threads run, if there was work for `WORK_SECONDS`."""
        if self._clock() - self._since >= WORK_SECONDS:
            self._sleep(BREATH_SECONDS)
            self._since = self._clock()


def resting(items: Iterable[_T], pause: Callable[[], None]) -> Iterator[_T]:
    """Yield the items, and pause between them often enough."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _STRETCH == 0:
            pause()
