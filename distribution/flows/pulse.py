"""Whether the database answers: tried every second, so that nobody else need wait to find out.

Rules:

1. What only reads needs a database that reads; what changes something needs one that also writes. Whoever
   asks while it is away is told at once to come again, and does not take a thread that waits.
2. It is away when a try failed, or has not come to its end for `AWAY_SECONDS`: a server that hangs looks so.
3. It is there again with the first try that works. Nobody has to do anything.

Agents that are connected need neither: what they are let in by and told is in memory.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from storage.database import Database
from storage.errors import StorageError, UnavailableError

AWAY_SECONDS: Final = 5.0
"""How long a try may take."""

logger = logging.getLogger(__name__)


class Pulse:
    """Tries the database. `beat` is for one thread, the rest for any."""

    def __init__(self, database: Database, stopwatch: Callable[[], float]) -> None:
        """`stopwatch` returns seconds of a monotonic clock. The database counts as there at first."""
        self._database = database
        self._stopwatch = stopwatch
        self._lock = threading.Lock()
        self._began: float | None = None
        self._read = True
        """Whether the try that is under way has read, or the last one did."""
        self._failed: str | None = None
        """Why the last try failed."""
        self._away = False

    def beat(self) -> None:
        """Try to read, then to write nothing. Returns when that is done or has failed."""
        with self._lock:
            self._began, self._read = self._stopwatch(), False
        failed: str | None = None
        try:
            with self._database.read():
                pass
            with self._lock:
                self._read = True
            with self._database.write_relaxed():
                pass
        except StorageError as exc:
            failed = str(exc)
        with self._lock:
            self._began, self._failed = None, failed
        self._tell(failed)

    def require_reads(self) -> None:
        """Check that the database can be read from. Raises UnavailableError."""
        with self._lock:
            why = None if self._read else self._why_away()
        _require(why)

    def require_writes(self) -> None:
        """Check that the database can be written to. Raises UnavailableError."""
        _require(self.why_away())

    def why_away(self) -> str | None:
        """Return why nothing can be written, None if it can."""
        with self._lock:
            return self._why_away()

    def _why_away(self) -> str | None:
        if self._began is not None and self._stopwatch() - self._began > AWAY_SECONDS:
            return f"database has not answered for more than {AWAY_SECONDS:.0f} s"
        return None if self._failed is None else f"database is away: {self._failed}"

    def _tell(self, failed: str | None) -> None:
        away = failed is not None
        if away and not self._away:
            logger.error("database is away; what is connected goes on", extra={"reason": failed})
        if self._away and not away:
            logger.info("database is there again")
        self._away = away


def _require(why: str | None) -> None:
    if why is not None:
        raise UnavailableError(why)
