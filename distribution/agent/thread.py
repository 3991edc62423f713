"""The agent's threads. The keeper's sleeps until the program ends, something is due, or somebody wakes it."""

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from distribution.agent.keeper import Keeper
from distribution.agent.report import Report
from distribution.errors import HostError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_AFTER_ERROR_SECONDS = 5.0
_JOIN_SECONDS = 60.0


def in_a_thread(work: Callable[[], T]) -> "Future[T]":
    """Run `work` in a thread of its own, which does not keep an agent alive that is told to stop."""
    future: Future[T] = Future()
    # From here on nobody can cancel it under the thread's hands; a result that nobody takes is dropped.
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as exc:  # noqa: BLE001 - raised where the result is taken
            future.set_exception(exc)

    threading.Thread(target=run, name="work", daemon=True).start()
    return future


class Bell:
    """Wakes one sleeping thread; ringing is safe from any thread and never blocks."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ring(self) -> None:
        """Wake the sleeper, or let its next sleep end at once."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_write(self._fd, 1)

    def sleep(self, seconds: float | None, other: int) -> None:
        """Sleep until rung, until `other` (a descriptor, or -1) is readable, or for `seconds`."""
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        if other >= 0:
            poller.register(other, select.POLLIN)
        # Rounded up: waking a millisecond early would spin until the moment has come.
        poller.poll(None if seconds is None else int(seconds * 1000) + 1)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._fd)


class KeeperThread:
    """Runs a keeper until told to stop. `changed` is called, in this thread, with every new report."""

    def __init__(self, keeper: Keeper, bell: Bell, changed: Callable[[Report], None]) -> None:
        self._keeper = keeper
        self._bell = bell
        self._changed = changed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper")
        self._last: Report | None = None
        self.failure: BaseException | None = None
        """What ended the thread, if it was not `stop`."""
        self._on_failure: Callable[[], object] = _nobody

    def on_failure(self, tell: Callable[[], object]) -> None:
        """Have `tell` called, in this thread, should it end by itself."""
        self._on_failure = tell

    def start(self) -> None:
        """Start the program and the thread. Raises HostError."""
        self._keeper.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop the program and the thread; returns when both have ended. Raises HostError."""
        self._stopping.set()
        self._bell.ring()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)
        self._keeper.stop()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                due = self._step()
                if self._keeper.report != self._last:
                    self._last = self._keeper.report
                    self._changed(self._last)
                self._bell.sleep(due, self._keeper.fileno())
        except BaseException as exc:
            logger.exception("the keeper ended unexpectedly")
            self.failure = exc
            self._on_failure()

    def _step(self) -> float | None:
        try:
            return self._keeper.step()
        except HostError:
            logger.exception("this host refused; trying again")
            return _AFTER_ERROR_SECONDS


def _nobody() -> None:
    """Tell nobody."""
