"""The port to immutable bytes by key, with one mutable kind of write: compare-and-set.

Rules every adapter keeps, and the contract suite checks:

1. A write is whole and durable before it is visible; a failed write leaves what was there.
2. `create` and `create_stream` win for exactly one of many concurrent callers.
3. `replace` changes the object only if its entity tag is still the one the caller read.
4. A reader sees one write or another, never a mixture.

Nothing is offered here that real stores disagree on: no conditional delete, no copy, no key that is a
prefix of another key (`a` beside `a/b`). Equal bytes may have equal entity tags, so whoever compares and
sets must put a version or a nonce into the bytes. Digests are always computed by us, never asked of a store.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

CHUNK_BYTES = 1 << 20
"""Bytes a streamed read yields at a time."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}(/[A-Za-z0-9][A-Za-z0-9._+-]{0,200})*")
_KEY_MAX_CHARS = 900  # S3 allows 1,024 bytes; the rest is room for a prefix


class InvalidKeyError(ValueError):
    """The text cannot be an object's key on every store."""


def require_key(key: str) -> str:
    """Return `key` if every store can hold it: segments of letters, digits and `._+-`, none of them `..`.

    Raises:
        InvalidKeyError: it has another character, an empty or dotted segment, or is too long.
    """
    if len(key) > _KEY_MAX_CHARS or _KEY.fullmatch(key) is None:
        raise InvalidKeyError(f"object key {key!r} is not one or more plain segments joined by '/'")
    return key


def require_range(start: int, length: int | None) -> None:
    """Raise ValueError if the range is none: bytes are counted from 0 and forwards."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"range starts at {start} with length {length}, expected neither below 0")


def upload_headers(sha256: bytes) -> Mapping[str, str]:
    """Return the headers a PUT to a `presign_put` URL must carry: the URL is signed over both of them.

    The first has the store refuse other bytes, the second has it refuse a key that is taken.
    """
    return {"x-amz-checksum-sha256": b64encode(sha256).decode("ascii"), "if-none-match": "*"}


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says of one object. `etag` is opaque: compare it, never compute it. `size` in bytes."""

    key: str
    size: int
    etag: str


class ObjectStore(Protocol):
    """Immutable bytes by key. Every method is synchronous and may be called from many threads.

    Raises (any method): UnavailableError when the store cannot answer, InvalidKeyError for a bad key.
    """

    def create(self, key: str, body: bytes) -> ObjectInfo:
        """Write once. Raises AlreadyExistsError if the key is taken."""
        ...

    def create_stream(self, key: str, chunks: Iterable[bytes]) -> ObjectInfo:
        """Write once from a stream; an exception raised by `chunks` aborts the write and is re-raised.

        Nothing is visible under the key until `chunks` is exhausted. Raises AlreadyExistsError.
        """
        ...

    def replace(self, key: str, body: bytes, expected_etag: str) -> ObjectInfo:
        """Compare and set. Raises PreconditionError if the tag differs, NotFoundError if the key is gone."""
        ...

    def read(self, key: str, max_bytes: int) -> tuple[bytes, ObjectInfo]:
        """Read whole. Raises NotFoundError, or TooLargeError before reading more than `max_bytes`."""
        ...

    def open(
        self, key: str, start: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Stream `length` bytes from `start` (to the end by default). Raises NotFoundError on entry.

        A range that goes past the end stops there; one that starts there is empty. ValueError if negative.
        """
        ...

    def head(self, key: str) -> ObjectInfo:
        """Describe without reading. Raises NotFoundError."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with `prefix`, in the order of their keys."""
        ...

    def delete(self, key: str) -> None:
        """Remove; a key that is not there is no error."""
        ...

    def presign_get(self, key: str, expires_in: timedelta) -> str | None:
        """Return a URL that reads the object until it expires, or None where the store has no such thing."""
        ...

    def presign_put(self, key: str, expires_in: timedelta, sha256: bytes) -> str | None:
        """Return a URL that accepts exactly the body of that digest, once, or None where the store has none.

        The caller of the URL must send `upload_headers(sha256)` with it.
        """
        ...
