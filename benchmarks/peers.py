"""The processes of a run, each on its core, and what the kernel says of them.

CPU is the kernel's accounting: nanoseconds on a core, of every thread, from /proc/PID/task/*/schedstat;
beside it stands there how long each was ready to run and another had the core.
"""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.crowd import Crowd
from distribution.demo.processes import STOP_SECONDS

SERVER_CORE = 0
LOAD_CORE = max(0, (os.cpu_count() or 1) - 1)
ANSWER_SECONDS = 300.0


class BenchmarkError(Exception):
    """A run that measured nothing worth telling; the message says what happened."""


def on_core(core: int, *words: str) -> list[str]:
    """Return the words of a command that stays on one core."""
    return ["taskset", "-c", str(core), *words]


@dataclass(frozen=True, slots=True)
class Used:
    """Seconds since a process began: on a core, all threads, and those but the first; ready, not on one."""

    cpu: float
    beside: float
    waited: float

    def since(self, before: "Used") -> "Used":
        """Return what came to it."""
        return Used(self.cpu - before.cpu, self.beside - before.beside, self.waited - before.waited)


def used(pid: int) -> Used:
    """Return what a process has used so far."""
    cpu = beside = waited = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            on_it, ready = (int(word) for word in (task / "schedstat").read_text().split()[:2])
        except OSError:  # a thread that has just ended
            continue
        cpu += on_it
        waited += ready
        if task.name != str(pid):
            beside += on_it
    return Used(cpu / 1e9, beside / 1e9, waited / 1e9)


def resident_bytes(pid: int) -> int:
    """Return how much memory the process has in use."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError(f"process {pid} has no memory")


class Spoken:
    """A process that takes orders on its standard input and answers each by a line."""

    def __init__(self, words: list[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(  # noqa: S603 - argv is ours
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **(env or {})},
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, order: str) -> None:
        """Give an order without waiting for its answer."""
        if self._process.stdin is None:
            raise BenchmarkError("process takes no orders")
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()

    def line(self, seconds: float = ANSWER_SECONDS) -> str:
        """Return the next line. Raises BenchmarkError if none comes in time."""
        if self._process.stdout is None:
            raise BenchmarkError("process says nothing")
        killer = threading.Timer(seconds, self._process.kill)
        killer.start()
        try:
            found = self._process.stdout.readline()
        finally:
            killer.cancel()
        if not found:
            raise BenchmarkError(
                f"process {self._process.args!r} ended or was too slow; see {self._log.name}"
            )
        return found.strip()

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Load:
    """The fleet: one process with every agent of the crowd."""

    def __init__(self, program: Path, crowd: Crowd, log: Path, *, plain: bool = False) -> None:
        words = [str(program), "-agents", str(crowd.file), *(["-plain"] if plain else [])]
        self._spoken = Spoken(on_core(LOAD_CORE, *words), log, {"GOMAXPROCS": "2", "GOGC": "400"})

    def order(self, *words: object) -> dict[str, Any]:
        """Give an order and return its answer. Raises BenchmarkError if it is an error."""
        self.start(*words)
        return self.finish()

    def start(self, *words: object) -> None:
        """Give an order that `finish` waits for."""
        self._spoken.send(" ".join(str(word) for word in words))

    def finish(self) -> dict[str, Any]:
        """Return the answer to the last order."""
        found: dict[str, Any] = json.loads(self._spoken.line())
        if "error" in found:
            raise BenchmarkError(f"the fleet says: {found['error']}")
        return found

    def close(self) -> None:
        """End it."""
        self._spoken.close()


class Peer:
    """One server under measurement: where agents find it, and which process it is."""

    def __init__(
        self, name: str, address: str, pid: int, offer: Callable[[str], None], settle: Callable[[], None]
    ) -> None:
        """`offer` makes the server offer a version to everybody; `settle` has it give memory back."""
        self.name, self.address, self.pid = name, address, pid
        self.offer, self.settle = offer, settle
        self.met = 0
        """How many agents were connected at once; who comes then for the first time does not reconnect."""

    @property
    def used(self) -> Used:
        """What it has used so far."""
        return used(self.pid)

    @property
    def cpu(self) -> float:
        """Seconds on a core so far."""
        return self.used.cpu

    @property
    def resident(self) -> int:
        """Bytes in use."""
        return resident_bytes(self.pid)

    def quiet(self, seconds: float = 1.0) -> None:
        """Wait until it does next to nothing."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            before = self.cpu
            time.sleep(seconds)
            if self.cpu - before < 0.05 * seconds:
                return
