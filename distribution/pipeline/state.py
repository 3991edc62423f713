"""What a pipeline remembers beside its key: what it signed, and what it has not yet been told the fate of.

Rules:

1. A version is written down before the key is used for it, and never used for a second content: a server that
   denies having got one cannot collect two.
2. Signed bytes are on disk before they are handed in. After a crash exactly these bytes are handed in again.
3. The file is replaced whole and synced; a reader sees one state or the next.
"""

import base64
import binascii
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distribution.errors import InvalidError

_MAX_BYTES = 16_000_000
_FIELDS = {"last_version", "last_sha256", "highest_version", "pending"}


@dataclass(frozen=True, slots=True)
class RoleState:
    """The memory of one role's key. Versions are 0 where there was none."""

    last_version: int = 0
    """The last version that the server took."""
    last_sha256: str = ""
    """Its digest, in hexadecimal."""
    highest_version: int = 0
    """The highest version the key was, or was about to be, used for."""
    pending: bytes = b""
    """Signed bytes whose fate is not known; empty if there are none. Their version is `highest_version`."""

    def intending(self, version: int) -> "RoleState":
        """Return the state before the key is used for `version`."""
        return replace(self, highest_version=version, pending=b"")

    def signed(self, body: bytes) -> "RoleState":
        """Return the state before `body` is handed in."""
        return replace(self, pending=body)

    def taken(self) -> "RoleState":
        """Return the state after the server took the pending bytes."""
        digest = hashlib.sha256(self.pending).hexdigest()
        return RoleState(self.highest_version, digest, self.highest_version)

    def refused(self) -> "RoleState":
        """Return the state after the server refused the pending bytes; their version stays used."""
        return replace(self, pending=b"")


def load(path: Path) -> RoleState:
    """Read a state; no file is the state of a key that signed nothing yet. Raises InvalidError."""
    try:
        raw = path.read_bytes() if path.exists() else b""
    except OSError as exc:
        raise InvalidError(f"pipeline state {str(path)!r} cannot be read: {exc.strerror}") from exc
    if not raw:
        return RoleState()
    try:
        found = require_fields(json.loads(raw[:_MAX_BYTES]), _FIELDS)
        return RoleState(
            int(found["last_version"]),
            str(found["last_sha256"]),
            int(found["highest_version"]),
            base64.b64decode(found["pending"], validate=True),
        )
    except (ValueError, TypeError, binascii.Error) as exc:
        raise InvalidError(f"pipeline state {str(path)!r} is not one of ours") from exc


def require_fields(found: Any, fields: set[str]) -> dict[str, Any]:
    """Return a JSON value if it is an object with exactly these fields. Raises TypeError."""
    if not isinstance(found, dict) or set(found) != fields:
        raise TypeError(f"not an object with the fields {sorted(fields)}")
    return found


def save(path: Path, state: RoleState) -> None:
    """Write a state, durable when this returns."""
    fields = {
        "last_version": state.last_version,
        "last_sha256": state.last_sha256,
        "highest_version": state.highest_version,
        "pending": base64.b64encode(state.pending).decode(),
    }
    replace_file(path, json.dumps(fields, indent=1).encode() + b"\n")


def replace_file(path: Path, body: bytes) -> None:
    """Replace a small file as a whole, durable when this returns."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock: pipelines that share a folder, in whatever processes, take turns."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
