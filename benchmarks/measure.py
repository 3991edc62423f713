"""Measuring: a unit of work is repeated in rounds, and the median round is what is told, with the spread."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 7
ROUND_SECONDS = 0.3
CALLS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds a call: the median round, the fastest and the slowest."""

    name: str
    calls: int
    median: float
    fastest: float
    slowest: float

    @property
    def line(self) -> str:
        """The result in microseconds, for people."""
        spread = f"{self.fastest * 1e6:.1f} to {self.slowest * 1e6:.1f}"
        return f"{self.name:<46}{self.median * 1e6:>10.1f} us   {spread:>22}   {1 / self.median:>11,.0f}/s"


def _round(work: Callable[[], object], calls: int) -> float:
    gc.collect()
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def measure(name: str, work: Callable[[], object], *, units: int = 1, rounds: int = ROUNDS) -> Result:
    """Time one unit of work.

    Args:
        name: what a unit is.
        work: does `units` units a call; anything it returns is dropped.
        units: units a call.
        rounds: how many rounds the median is taken of.
    """
    once = max(_round(work, 1), 1e-9)
    calls = max(1, min(CALLS_MAX, int(ROUND_SECONDS / once)))
    times = sorted(_round(work, calls) / units for _ in range(rounds))
    return Result(name, calls * units, statistics.median(times), times[0], times[-1])
