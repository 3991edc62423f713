"""A peer that OpenSSL does not come back from is cut off from outside.

OpenSSL goes on reading while what comes is no data: who changes his keys again and again, faster than each
change is worked out, keeps it inside one call for as long as he likes, and the event loop with it. No option
of OpenSSL 3 bounds that. So a thread looks in: where the loop was in one and the same call for
`MOST_SECONDS` of its own CPU, the socket under it is replaced by one that has ended.

Rule: a socket is closed under `lock` alone, so that the number that is replaced is never another's.
"""

import os
import socket
import threading
import time
from typing import Final

LOOK_SECONDS: Final = 0.02
MOST_SECONDS: Final = 0.01
"""CPU of the loop's thread in one call; a whole record takes some microseconds."""

NOBODY: Final = -1


class Runaway:
    """Looks after the calls of one listener. The thread runs while there is a connection."""

    def __init__(self) -> None:
        self.reading = NOBODY
        """The number of the socket that OpenSSL reads at this moment."""
        self.looks = 0
        """Moved on by the loop at least between two calls that read the same socket."""
        self.lock = threading.Lock()
        self.cut = 0
        """Connections that were cut off, since the start."""
        self._stop: threading.Event | None = None

    def start(self) -> None:
        """Look after the thread that calls this."""
        self._stop = threading.Event()
        words = threading.get_ident(), self._stop
        threading.Thread(target=self._watch, args=words, name="runaways", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        if self._stop is not None:
            self._stop.set()

    def _watch(self, ident: int, stop: threading.Event) -> None:
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
                self._cut_off(now)
                seen = 0, NOBODY

    def _cut_off(self, seen: tuple[int, int]) -> None:
        ended, other = socket.socketpair()
        other.close()
        with ended, self.lock:
            if (self.looks, self.reading) == seen:
                os.dup2(ended.fileno(), seen[1], inheritable=False)
                self.cut += 1
