"""The enrollment tokens that are ours, in memory: told apart from made-up ones without asking the database.

Rules: this admits nobody, the ledger does (`keys.tokens.redeem`); it says only whose enrollments are counted
together. A token that is missing here, because it has expired or another server made it, counts as a
stranger's. The secret is compared in constant time, also for a token that does not exist.
"""

import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import select

from keys.tokens import PRESENTED_MAX_CHARS, enrollment_tokens, hashed
from storage.database import Database

_NOBODY: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class _Known:
    salt: bytes = field(repr=False)
    secret_sha256: bytes = field(repr=False)
    expires_at: datetime


class KnownTokens:
    """Those that were neither revoked nor have expired. Safe to use from any thread."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Read them. `clock` returns aware UTC. Raises: as `Database.read`."""
        self._clock = clock
        self._lock = threading.Lock()
        table = enrollment_tokens.c
        wanted = select(table.token_id, table.salt, table.secret_sha256, table.expires_at).where(
            table.revoked_at.is_(None), table.expires_at > clock()
        )
        with database.read() as connection:
            self._known = {
                row.token_id: _Known(bytes(row.salt), bytes(row.secret_sha256), row.expires_at)
                for row in connection.execute(wanted)
            }

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def add(self, token_id: str, *, salt: bytes, secret: str, expires_at: datetime) -> None:
        """Remember a token; whoever made it MUST call this after the commit. It cannot fail."""
        made, now = _Known(salt, hashed(salt, secret), expires_at), self._clock()
        with self._lock:
            live = {name: known for name, known in self._known.items() if known.expires_at > now}
            self._known = {**live, token_id: made}

    def forget(self, token_id: str) -> None:
        """Forget a token that was revoked. It cannot fail."""
        with self._lock:
            self._known.pop(token_id, None)

    def holds(self, presented: str) -> bool:
        """Whether `<token_id>.<secret>` is a token of ours that lives. No I/O, no lock, microseconds."""
        token_id, _, secret = presented[:PRESENTED_MAX_CHARS].partition(".")
        known = self._known.get(token_id)
        salt, expected = (_NOBODY, _NOBODY) if known is None else (known.salt, known.secret_sha256)
        same = hmac.compare_digest(hashed(salt, secret), expected)
        return same and known is not None and self._clock() < known.expires_at
