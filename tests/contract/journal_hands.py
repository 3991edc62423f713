"""Writing a journal and checking it, and its hash computed a second way."""

import hashlib
import json
from datetime import UTC, datetime

from storage.database import Database
from storage.journal import Entry, Head, append, verify

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def write(database: Database, count: int, actor: str = "server") -> list[Entry]:
    made = []
    for _ in range(count):
        with database.write() as connection:
            detail = {"serial": "0a", "times": [1, None]}
            made.append(
                append(connection, kind="agent.revoked", actor=actor, subject="agent:1", detail=detail, at=AT)
            )
    return made


def checked(database: Database, kept: Head | None = None) -> Head:
    with database.read() as connection:
        return verify(connection, kept)


def hash_by_hand(entry: Entry) -> str:
    """The encoding as the module's docstring has it, written a second time."""
    texts = [
        entry.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        entry.kind,
        entry.actor,
        entry.subject,
        json.dumps(entry.detail, sort_keys=True, separators=(",", ":")),
    ]
    parts = [b"quartermaster journal 1", bytes.fromhex(entry.previous_hash), entry.number.to_bytes(8, "big")]
    parts += [text.encode() for text in texts]
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hexdigest()
