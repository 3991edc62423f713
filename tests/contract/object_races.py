"""The races that no store may lose, and the crews that run them: threads on one store, or processes.

Each race is a function that raises RaceLostError when the store broke its promise; test_object_races.py
runs them on every store, and on one that is known to lose.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from storage.objects import ObjectStore
from tests.contract.object_tasks import TASKS, Result, body_of
from tests.fakes.losing_store import Fault

ROOT = Path(__file__).resolve().parents[2]
PROCESS_SECONDS = 150
Job = tuple[str, Mapping[str, object]]


class RaceLostError(AssertionError):
    """The store broke a promise, seen from outside. Nothing else raises it: not a worker that crashed."""


class Crew(Protocol):
    """Runs jobs at the same moment."""

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Return the results in the order of the jobs; a job that raises makes this raise."""
        ...


class Threads:
    """Threads that share one store object."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Start all jobs together."""
        barrier = threading.Barrier(len(jobs))

        def contend(job: Job) -> Result:
            barrier.wait()
            return TASKS[job[0]](self._store, **job[1])

        with ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(contend, jobs))


class Processes:
    """Processes that each open the store in the same folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Start all jobs together, once every process has opened the store."""
        workers = [start_worker(self._folder, *job) for job in jobs]
        try:
            for worker in workers:
                await_ready(worker)
            for worker in workers:
                let_go(worker)
            said = [worker.communicate(timeout=PROCESS_SECONDS)[0] for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.communicate()
        if any(worker.returncode for worker in workers):
            raise RuntimeError(f"workers ended with {[worker.returncode for worker in workers]}")
        return [json.loads(text) for text in said]


def start_worker(folder: Path, task: str, arguments: Mapping[str, object]) -> "subprocess.Popen[str]":
    """Start one process of `tests.contract.object_tasks`."""
    module = "tests.contract.object_tasks"
    return subprocess.Popen(
        [sys.executable, "-m", module, str(folder), task, json.dumps(arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def await_ready(worker: "subprocess.Popen[str]") -> None:
    """Return when the worker has opened the store."""
    said = worker.stdout.readline() if worker.stdout else ""
    if said != "ready\n":
        raise RuntimeError(f"a worker said {said!r}, expected 'ready'")


def let_go(worker: "subprocess.Popen[str]") -> None:
    """Have the worker begin."""
    if worker.stdin is None:
        raise RuntimeError("the worker has no standard input")
    worker.stdin.write("go\n")
    worker.stdin.flush()


def require_one_winner(crew: Crew, store: ObjectStore, contenders: int) -> None:
    """Of many that create one object, exactly one is told that it did, and its bytes are there."""
    _require_one_winner("create", crew, store, contenders)


def require_one_streaming_winner(crew: Crew, store: ObjectStore, contenders: int) -> None:
    """Of many that stream one object, exactly one is told that it won, and its bytes are there."""
    _require_one_winner("create_stream", crew, store, contenders)


def _require_one_winner(task: str, crew: Crew, store: ObjectStore, contenders: int) -> None:
    key = f"races/{task}"
    results = crew.run([(task, {"key": key, "me": me}) for me in range(contenders)])
    winners = [result["me"] for result in results if result["won"]]
    if len(winners) != 1:
        raise RaceLostError(f"{task} was won by {winners}, expected one of {contenders}")
    if store.read(key, 1 << 22)[0] != body_of(int(str(winners[0]))):
        raise RaceLostError(f"{key!r} does not hold what its winner {winners[0]} wrote")


def require_no_lost_update(crew: Crew, store: ObjectStore, contenders: int, times: int = 8) -> None:
    """A counter that many add to by compare-and-set holds the sum of what all were told they added."""
    key = "races/counter"
    store.create(key, b"0")
    crew.run([("count", {"key": key, "times": times})] * contenders)
    counted = int(store.read(key, 100)[0])
    if counted != contenders * times:
        raise RaceLostError(f"the counter holds {counted}, expected {contenders * times}")


def require_whole_overwrites(crew: Crew, store: ObjectStore, contenders: int, times: int = 8) -> None:
    """Whoever reads an object while others replace it gets one version from end to end."""
    key, done = "races/overwritten", ["races/done-0", "races/done-1"]
    store.create(key, body_of(0))
    writers: list[Job] = [("overwrite", {"key": key, "times": times, "done": one}) for one in done]
    watchers: list[Job] = [("watch", {"key": key, "done": done})] * (contenders - len(done))
    _require_nothing_torn(crew.run([*writers, *watchers]))
    if store.read(key, 1 << 22)[0] != body_of(times * len(writers)):
        raise RaceLostError(f"{key!r} does not hold version {times * len(writers)}")


def require_whole_births(crew: Crew, store: ObjectStore, contenders: int) -> None:
    """Whoever looks for an object while it is streamed in sees nothing, or all of it."""
    key, done = "races/born", "races/done"
    watchers: list[Job] = [("watch", {"key": key, "done": [done]})] * (contenders - 1)
    _require_nothing_torn(crew.run([("bear", {"key": key, "done": done}), *watchers]))


def _require_nothing_torn(results: Sequence[Result]) -> None:
    torn = [result["torn"] for result in results if "torn" in result]
    if torn:
        raise RaceLostError(f"readers saw {torn}")
    if not all(result["reads"] for result in results if "reads" in result):
        raise RuntimeError("a reader never read")


Race = Callable[[Crew, ObjectStore, int], None]
RACES: Mapping[Race, Fault] = {
    require_one_winner: Fault.RIVALS,
    require_one_streaming_winner: Fault.RIVALS,
    require_no_lost_update: Fault.RIVALS,
    require_whole_overwrites: Fault.HALVES,
    require_whole_births: Fault.HALVES,
}
"""Every race, with the fault that must lose it."""
