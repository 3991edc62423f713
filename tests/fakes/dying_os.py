"""A process that dies: after so many of the system calls that change something, every further one fails.

It stands in for `kill -9` and a power cut between two lines: no clean-up gets through either, because that
needs system calls too. What the calls were is kept, so that a test can ask for their order.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

CHANGING = ("open", "mkdir", "write", "fsync", "link", "replace", "unlink")


class DiedError(BaseException):
    """No `except Exception` and no `suppress(OSError)` survives a dead process."""


class DyingOs:
    """Counts the changing calls and lets only the first `calls` of them through."""

    def __init__(self, calls: int | None = None) -> None:
        self.done: list[str] = []
        self._calls = calls

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Stand in for the system calls of `os`, and for `flock`."""
        with ExitStack() as patched:
            for name in CHANGING:
                patched.enter_context(patch.object(os, name, self._counted(name, getattr(os, name))))
            patched.enter_context(patch.object(fcntl, "flock", self._counted("flock", fcntl.flock)))
            yield

    def _counted(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **named: object) -> object:
            if len(self.done) == self._calls:
                raise DiedError
            self.done.append(name)
            return call(*arguments, **named)

        return counted
