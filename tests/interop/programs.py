"""Starting real programs on loopback, following what they print, and ending them."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 90.0
END_SECONDS = 30.0

Found = TypeVar("Found")


def wait_for(
    what: str,
    look: Callable[[], Found | None],
    *,
    alive: Callable[[], str | None],
    said: Callable[[], str] = str,
    seconds: float = PATIENCE_SECONDS,
) -> Found:
    """Return what `look` finds as soon as it finds something.

    Raises:
        TimeoutError: nothing came in time, or `alive` says why nothing can come any more.
    """
    end = time.monotonic() + seconds
    while True:
        gone, late = alive(), time.monotonic() > end  # before the look: what was done last counts
        found = look()
        if found is not None:
            return found
        if gone is not None:
            raise TimeoutError(f"waited for {what}: {gone}")
        if late:
            raise TimeoutError(f"{what} did not happen in {seconds:g} seconds; last words: {said()[-2000:]}")
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """Return a loopback port that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A running program whose output goes to a file; leaving the context ends it."""

    def __init__(self, arguments: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self._name = Path(arguments[0]).name
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(environment) if environment is not None else None,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> int:
        """Ask the program to end, make it end if it does not, and return its status."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()

    def signal(self, which: int) -> None:
        """Send the running program a signal."""
        self._process.send_signal(which)

    def count(self, kind: str) -> int:
        """Return how many events of a kind were printed so far."""
        return sum(one.get("event") == kind for one in self.events())

    def gone(self) -> str | None:
        """Say that the program has ended, with the end of what it printed, or None while it runs."""
        status = self._process.poll()
        return None if status is None else f"{self._name} ended with {status}: {self.text()[-2000:]}"

    def text(self) -> str:
        """Return everything printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until_listening(self, port: int) -> None:
        """Return when the program accepts connections on a loopback port."""

        def connected() -> bool | None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return None
            return True

        wait_for(f"{self._name} on port {port}", connected, alive=self.gone)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the JSON objects printed so far, one a line; other lines are the program's own words."""
        for line in self.text().splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                yield json.loads(line)

    def wait_for_event(
        self,
        kind: str,
        matches: Callable[[dict[str, Any]], bool] = lambda _: True,
        seconds: float = PATIENCE_SECONDS,
    ) -> dict[str, Any]:
        """Return the first printed event of a kind that matches."""

        def look() -> dict[str, Any] | None:
            return next((one for one in self.events() if one.get("event") == kind and matches(one)), None)

        what = f"event {kind!r} of {self._name}"
        return wait_for(what, look, alive=self.gone, said=self.text, seconds=seconds)

    def wait_for_text(self, wanted: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Return when the program has printed something, in whatever line."""
        wait_for(
            f"{wanted!r} in the words of {self._name}",
            lambda: True if wanted in self.text() else None,
            alive=self.gone,
            said=self.text,
            seconds=seconds,
        )


@contextmanager
def listening(arguments: list[str], port: int, log: Path) -> Iterator[Program]:
    """Run a program that must soon listen on a loopback port."""
    with Program(arguments, log) as program:
        program.wait_until_listening(port)
        yield program
