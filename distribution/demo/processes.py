"""The programs of the demonstration, each a process: started, waited for, stopped, never left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

STOP_SECONDS = 10.0
"""How long a process may take to end after SIGTERM before it is killed."""

_POLL_SECONDS = 0.05


class DemoError(Exception):
    """A step did not happen. The message names what was waited for and what was seen instead."""


def free_ports(count: int) -> list[int]:
    """Return `count` TCP ports that are free on the loopback address now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(what: str, look: Callable[[], T | None], seconds: float, seen: Callable[[], object] = str) -> T:
    """Look until there is something, and return it.

    Raises:
        DemoError: nothing came in time; the message says what `seen` returns then.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise DemoError(f"{what}: not seen within {seconds:.0f} s; last seen: {seen()}")
        time.sleep(_POLL_SECONDS)


class Program:
    """One process with its output in a file. `argv` is run as it is, without a shell."""

    def __init__(self, name: str, argv: list[str], log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self._argv = argv
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id. Raises DemoError if it was never started."""
        if self._process is None:
            raise DemoError(f"{self.name} was never started")
        return self._process.pid

    def start(self) -> None:
        """Start the process; its output is appended to the log."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - argv is ours
                self._argv, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=self._env
            )

    def require_running(self) -> None:
        """Raise DemoError, with the end of the log, if the process has ended."""
        if self._process is None or self._process.poll() is not None:
            raise DemoError(f"{self.name} has ended; its log ends with:\n{self.tail()}")

    def ended(self) -> int | None:
        """Return its exit status if it has ended (negative: by that signal), None while it runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """End it without warning, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return "(no output)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Return a child's environment: ours, with a home of its own, unbuffered output and `extra`."""
    return {**os.environ, "HOME": str(home), "PYTHONUNBUFFERED": "1", **extra}


def console_command(name: str) -> str:
    """Return the path of one of our console commands, installed beside this interpreter.

    Raises:
        DemoError: it is not there: the project is not installed into this environment.
    """
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise DemoError(f"command {name} is not installed beside {sys.executable}")
    return str(path)
