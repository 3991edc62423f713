"""Journals refusals that concern security, without letting whoever is refused fill the journal.

Rules:

1. The same thing is noted at most once in an hour; the next note says how many were left out in between.
2. All notes together are at most 200 in an hour. What is left out above that is counted as well.
3. A note that cannot be written changes nothing for the one who was refused: it goes to the log instead.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from storage import journal
from storage.database import Database
from storage.errors import StorageError

EVERY: Final = timedelta(hours=1)
NOTES_MAX: Final = 200

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Hour:
    begins: datetime
    noted: set[tuple[str, str]] = field(default_factory=set)
    left_out: dict[tuple[str, str], int] = field(default_factory=dict)
    others: int = 0


class Refusals:
    """Notes refusals in the journal. Safe to use from any thread, outside of a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._hour: _Hour | None = None

    def note(self, kind: str, *, key: str, actor: str, subject: str, why: str, now: datetime) -> None:
        """Journal one refusal, unless the same one was noted within the hour.

        Args:
            kind: of the journal's entry, `token.refused`.
            key: what counts as the same; MUST be a thing of ours (a token's id, a serial), not a stranger's.
            actor: who was refused.
            subject: what he was refused with.
            why: the refusal's public message.
            now: aware UTC.
        """
        left_out = self._due((kind, key), now)
        if left_out is None:
            return
        detail: Mapping[str, journal.JSON] = {"why": why, **left_out}
        try:
            with self._database.write() as connection:
                journal.append(connection, kind=kind, actor=actor, subject=subject, detail=detail, at=now)
        except StorageError:
            _log.exception("a refusal could not be journalled", extra={"kind": kind, "subject": subject})

    def _due(self, key: tuple[str, str], now: datetime) -> dict[str, int] | None:
        """Return what to say of those left out, or None if this one is to be left out too."""
        with self._lock:
            before: _Hour | None = None
            if self._hour is None or not timedelta(0) <= now - self._hour.begins < EVERY:
                before, self._hour = self._hour, _Hour(now)
            hour = self._hour
            if before is not None:
                hour.left_out = before.left_out
                hour.others = before.others
            if key in hour.noted or len(hour.noted) >= NOTES_MAX:
                if key in hour.left_out or len(hour.left_out) < NOTES_MAX:
                    hour.left_out[key] = hour.left_out.get(key, 0) + 1
                else:
                    hour.others += 1
                return None
            hour.noted.add(key)
            counts = {"left_out": hour.left_out.pop(key, 0), "others_left_out": hour.others}
            hour.others = 0
            return {name: count for name, count in counts.items() if count}
