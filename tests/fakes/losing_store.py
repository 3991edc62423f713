"""A store that keeps conditions one at a time and loses them when two writers meet: the negative control.

It compares and then writes, with nothing held in between; or it writes in place, a half at a time. The gap is
held open until a rival has entered it, or a reader has looked, so that what a real careless store loses now
and then is lost here every time. Works across threads and processes: everything lies in files.
"""

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum
from pathlib import Path
from uuid import uuid4

from storage.errors import AlreadyExistsError, NotFoundError, PreconditionError, TooLargeError
from storage.objects import ObjectInfo, require_key

RIVALS = 2
"""So many writers meet in the first gap."""
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 10.0
"""How long what is half written waits to be looked at."""

_LARGE_BYTES = 1024


class Fault(Enum):
    """What the store loses. The name of its folder says it, so that processes agree."""

    RIVALS = "losing-rivals"
    """Two that compared before either wrote both win."""
    HALVES = "losing-halves"
    """Readers see half of a write."""


class LosingStore:
    """An `ObjectStore` that lets two writers win and loses updates, or shows half of a write."""

    def __init__(self, root: Path) -> None:
        self._fault = Fault(root.name)
        self._objects = root / "objects"
        self._objects.mkdir(parents=True, exist_ok=True)
        self._entered = root / "entered"
        self._begun, self._half, self._looked = root / "begun", root / "half", root / "looked"

    def create(self, key: str, body: bytes) -> ObjectInfo:
        """Look, and write; what is small is written at once, so that a test can set its scene."""
        if len(body) < _LARGE_BYTES or self._fault is Fault.HALVES:
            self._path(key).write_bytes(body)
            return self._info(key, body)
        return self.create_stream(key, (body,))

    def create_stream(self, key: str, chunks: Iterable[bytes]) -> ObjectInfo:
        """Look, and write."""
        path = self._path(key)
        if path.exists():
            raise AlreadyExistsError(f"object {key!r} exists")
        body = b"".join(chunks)
        self._write(path, body)
        return self._info(key, body)

    def replace(self, key: str, body: bytes, expected_etag: str) -> ObjectInfo:
        """Compare, and write."""
        current = self._info(key, self._bytes(key)).etag
        if current != expected_etag:
            raise PreconditionError(f"object {key!r} has tag {current}, expected {expected_etag}")
        self._write(self._path(key), body)
        return self._info(key, body)

    def read(self, key: str, max_bytes: int) -> tuple[bytes, ObjectInfo]:
        """Read whatever is there at this moment."""
        body = self._bytes(key)
        if len(body) > max_bytes:
            raise TooLargeError(f"object {key!r} has {len(body)} bytes, expected at most {max_bytes}")
        return body, self._info(key, body)

    @contextmanager
    def open(self, key: str, start: int = 0, length: int | None = None) -> Iterator[Iterator[bytes]]:
        """Yield whatever is there at this moment. Only pure readers come this way."""
        body = None
        while body is None:
            begun = _rings(self._begun)
            if begun:
                _wait_for(self._half, 1)
            body = self._bytes(key)
            if begun:
                _ring(self._looked)
            elif _rings(self._begun):
                body = None  # the writer came in between: look again, at its half
        yield iter((body[start:] if length is None else body[start : start + length],))

    def head(self, key: str) -> ObjectInfo:
        """Describe whatever is there at this moment."""
        return self._info(key, self._bytes(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield by prefix, in order."""
        keys = sorted(path.name.replace("%", "/") for path in self._objects.iterdir())
        return (self.head(key) for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """Remove."""
        self._path(key).unlink(missing_ok=True)

    def presign_get(self, key: str, expires_in: timedelta) -> str | None:
        """Return nothing: there are no URLs."""
        return None

    def presign_put(self, key: str, expires_in: timedelta, sha256: bytes) -> str | None:
        """Return nothing: there are no URLs."""
        return None

    def _path(self, key: str) -> Path:
        return self._objects / require_key(key).replace("/", "%")

    def _bytes(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"object {key!r} does not exist") from error

    def _info(self, key: str, body: bytes) -> ObjectInfo:
        return ObjectInfo(key, len(body), hashlib.sha256(body).hexdigest())

    def _write(self, path: Path, body: bytes) -> None:
        if self._fault is Fault.RIVALS:
            _ring(self._entered)
            _wait_for(self._entered, RIVALS)
            whole = path.with_name(f"{path.name}%{uuid4().hex}")
            whole.write_bytes(body)
            whole.replace(path)
            return
        _ring(self._begun)
        path.touch()
        half = len(body) // 2
        with path.open("r+b", buffering=0) as file:
            file.write(body[:half])
            _ring(self._half)
            _linger(self._looked)  # whoever saw the half another way has ended, and looks no more
            file.write(body[half:])


def _ring(bell: Path) -> None:
    with bell.open("ab") as file:
        file.write(b".")


def _rings(bell: Path) -> int:
    return bell.stat().st_size if bell.exists() else 0


def _linger(bell: Path) -> None:
    deadline, never = time.monotonic() + LOOK_SECONDS, threading.Event()
    while not _rings(bell) and time.monotonic() < deadline:
        never.wait(0.001)


def _wait_for(bell: Path, rings: int) -> None:
    deadline, never = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while _rings(bell) < rings:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{bell.name!r} rang {_rings(bell)} times, waited for {rings}")
        never.wait(0.001)
