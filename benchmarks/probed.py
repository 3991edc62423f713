"""`quartermaster`, with a probe in its event loop: `python -m benchmarks.probed REPORT serve ...`.

A task asks to be woken every 2 ms and notes how late it was. Once a second it writes a line: the moment
(monotonic seconds), and the worst lateness of that second by the clock and by the process's own CPU. What
another process took from the core is in the first and not in the second. SIGUSR1 has it rest, so that what it
costs is not counted, SIGUSR2 go on.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TextIO

import uvloop

from distribution.cli.main import main

TICK_SECONDS = 0.002
WINDOW_SECONDS = 1.0


async def _probe(report: TextIO, awake: asyncio.Event) -> None:
    worst = worst_own = 0.0
    begun = last = time.monotonic()
    last_own = time.process_time()
    while True:
        if not awake.is_set():
            await awake.wait()
            begun = last = time.monotonic()
            last_own = time.process_time()
        await asyncio.sleep(TICK_SECONDS)
        now, own = time.monotonic(), time.process_time()
        late = max(0.0, now - last - TICK_SECONDS)
        worst, worst_own = max(worst, late), max(worst_own, min(late, own - last_own))
        last, last_own = now, own
        if now - begun >= WINDOW_SECONDS:
            report.write(f"{now:.3f} {worst:.6f} {worst_own:.6f}\n")
            begun, worst, worst_own = now, 0.0, 0.0


def worst_between(report: Path, begun: float, ended: float) -> tuple[float, float]:
    """Return the worst lateness in seconds between two moments, by the clock and by the process's own CPU."""
    lines = [[float(word) for word in line.split()] for line in report.read_text().splitlines()]
    inside = [(late, own) for at, late, own in lines if begun <= at <= ended]
    return max(late for late, _ in inside), max(own for _, own in inside)


def _run_with_probe(report: Path) -> None:
    run = uvloop.run

    async def both(serving: Coroutine[Any, Any, Any], file: TextIO) -> None:
        awake, loop = asyncio.Event(), asyncio.get_running_loop()
        awake.set()
        loop.add_signal_handler(signal.SIGUSR1, awake.clear)
        loop.add_signal_handler(signal.SIGUSR2, awake.set)
        probe = asyncio.create_task(_probe(file, awake))
        try:
            await serving
        finally:
            probe.cancel()

    def probed(serving: Coroutine[Any, Any, Any]) -> None:
        with report.open("w", buffering=1) as file:
            run(both(serving, file))

    uvloop.run = probed  # type: ignore[assignment] # the one call of it takes nothing but what is served


if __name__ == "__main__":
    _run_with_probe(Path(sys.argv.pop(1)))
    main()
