"""A peer that OpenSSL does not come back from is cut off from outside.

OpenSSL goes on reading while what comes is no data: who changes his keys again and again, faster than each
change is worked out, or says his part of a handshake byte by byte, keeps it inside one call for as long as he
likes, and the event loop with it. No option of OpenSSL 3 bounds that. So a thread looks in: where the loop
was in one and the same call for `MOST_SECONDS` of its own CPU, the socket under it is replaced by one that
has ended.

Rules: every call of OpenSSL that may read is made while it is looked after; a socket is closed under `lock`
alone, so that the number that is replaced is never another's.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LOOK_SECONDS: Final = 0.02
MOST_SECONDS: Final = 0.01
"""CPU of the loop's thread in one call; a whole record takes some microseconds."""

NOBODY: Final = -1


class Runaway:
    """Looks after the calls of one listener. The thread is started by the first, and ends with `stop`."""

    def __init__(self, tell: Callable[[int], None] = lambda _: None) -> None:
        """`tell` is called in the thread that looks, with the number of a socket that was replaced."""
        self._tell = tell
        self.reading = NOBODY
        """The number of the socket that OpenSSL reads at this moment."""
        self.looks = 0
        """Moved on by the loop at least between two calls that read the same socket."""
        self.lock = threading.Lock()
        self.cut = 0
        """Connections that were cut off, since the start."""
        self._stop: threading.Event | None = None

    @contextmanager
    def over(self, number: int) -> Iterator[None]:
        """Look after one call that reads the socket of this number; for calls that are rare."""
        self.start()
        self.looks += 1
        self.reading = number
        try:
            yield
        finally:
            self.reading = NOBODY

    def start(self) -> None:
        """Look after the thread that calls this; it is no error if that is done already."""
        if self._stop is not None:
            return
        ended, other = socket.socketpair()  # now: there may be no descriptor left when one is needed
        other.close()
        self._stop = threading.Event()
        words = threading.get_ident(), self._stop, ended
        threading.Thread(target=self._watch, args=words, name="runaways", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    def _watch(self, ident: int, stop: threading.Event, ended: socket.socket) -> None:
        with ended:
            self._look_in(ident, stop, ended)

    def _look_in(self, ident: int, stop: threading.Event, ended: socket.socket) -> None:
        clock = time.pthread_getcpuclockid(ident)
        seen, since = (0, NOBODY), 0.0
        while not stop.wait(LOOK_SECONDS):
            now = self.looks, self.reading
            try:
                used = time.clock_gettime(clock)
            except OSError:  # the thread is gone
                return
            if now[1] == NOBODY or now != seen:
                seen, since = now, used
            elif used - since >= MOST_SECONDS:
                self._cut_off(now, ended)
                seen = 0, NOBODY

    def _cut_off(self, seen: tuple[int, int], ended: socket.socket) -> None:
        with self.lock:
            if (self.looks, self.reading) != seen:
                return
            os.dup2(ended.fileno(), seen[1], inheritable=False)
            self.cut += 1
        self._tell(seen[1])
