"""An object store in memory that keeps the port's rules, for tests that need no disk.

Stricter than most stores where the port leaves room: equal bytes have equal entity tags, and a key beside
a key below it (`a` beside `a/b`) is refused. Writes are whole, under one lock. `bodies` may be altered by a
test that plays a store which was tampered with.
"""

import hashlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from storage.errors import AlreadyExistsError, NotFoundError, PreconditionError, TooLargeError
from storage.objects import CHUNK_BYTES, InvalidKeyError, ObjectInfo, require_key, require_range


class MemoryStore:
    """An `ObjectStore` whose objects live in `bodies`, by key."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self._lock = threading.RLock()

    def create(self, key: str, body: bytes) -> ObjectInfo:
        """Write once."""
        require_key(key)
        with self._lock:
            if key in self.bodies:
                raise AlreadyExistsError(f"object {key!r} exists already")
            self._refuse_nesting(key)
            self.bodies[key] = bytes(body)
            return self._info(key)

    def create_stream(self, key: str, chunks: Iterable[bytes]) -> ObjectInfo:
        """Write once, when the stream has ended without an exception."""
        require_key(key)
        return self.create(key, b"".join(chunks))

    def replace(self, key: str, body: bytes, expected_etag: str) -> ObjectInfo:
        """Compare and set."""
        with self._lock:
            current = self.head(key)
            if current.etag != expected_etag:
                raise PreconditionError(f"object {key!r} has tag {current.etag}, expected {expected_etag}")
            self.bodies[key] = bytes(body)
            return self._info(key)

    def read(self, key: str, max_bytes: int) -> tuple[bytes, ObjectInfo]:
        """Read whole."""
        with self._lock:
            info = self.head(key)
            if info.size > max_bytes:
                raise TooLargeError(
                    f"object {key!r} has {info.size} bytes, at most {max_bytes} were asked for"
                )
            return self.bodies[key], info

    @contextmanager
    def open(self, key: str, start: int = 0, length: int | None = None) -> Iterator[Iterator[bytes]]:
        """Stream a range."""
        require_range(start, length)
        self.head(key)
        body = self.bodies[key]
        part = body[start:] if length is None else body[start : start + length]
        yield (part[offset : offset + CHUNK_BYTES] for offset in range(0, len(part), CHUNK_BYTES))

    def head(self, key: str) -> ObjectInfo:
        """Describe."""
        require_key(key)
        with self._lock:
            if key not in self.bodies:
                raise NotFoundError(f"object {key!r} does not exist")
            return self._info(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield by prefix, in order."""
        with self._lock:
            found = [self._info(key) for key in sorted(self.bodies) if key.startswith(prefix)]
        return iter(found)

    def delete(self, key: str) -> None:
        """Remove."""
        require_key(key)
        with self._lock:
            self.bodies.pop(key, None)

    def presign_get(self, key: str, expires_in: timedelta) -> str | None:
        """Return nothing: memory has no URLs."""
        require_key(key)
        return None

    def presign_put(self, key: str, expires_in: timedelta, sha256: bytes) -> str | None:
        """Return nothing: memory has no URLs."""
        require_key(key)
        return None

    def _info(self, key: str) -> ObjectInfo:
        body = self.bodies[key]
        return ObjectInfo(key, len(body), hashlib.sha256(body).hexdigest())

    def _refuse_nesting(self, key: str) -> None:
        segments = key.split("/")
        above = {"/".join(segments[:count]) for count in range(1, len(segments))}
        for other in self.bodies:
            if other in above or other.startswith(f"{key}/"):
                raise InvalidKeyError(f"object key {key!r} stands beside {other!r}, one below the other")
