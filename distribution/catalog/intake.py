"""Takes the bytes of targets: streamed, hashed by us on the way, visible only if they are what was declared.

A target's key holds its digest and is written once, so what is there can only be equal bytes or a store that
was tampered with; the second is said, not repaired. Bytes that no signed role names yet reach no agent: a
target becomes real by a commit of its role, not by its upload.
"""

import hashlib
from collections.abc import Iterable, Iterator

from distribution.domain.guard import guard_path
from distribution.domain.package import Digest, TargetPath
from distribution.domain.target import require_target_path
from distribution.errors import OversizedError, UnknownError, UnverifiedError
from storage.errors import AlreadyExistsError, NotFoundError
from storage.objects import ObjectStore


class _Hashing:
    """Passes chunks on while it counts and hashes them; ends with an error unless they are as declared."""

    def __init__(self, path: str, declared: Digest, chunks: Iterable[bytes], max_bytes: int) -> None:
        self._path = path
        self._declared = declared
        self._chunks = iter(chunks)
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self.length = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.length += len(chunk)
            if self.length > self._max_bytes:
                raise OversizedError(f"target {self._path!r} is larger than {self._max_bytes} bytes")
            self._hash.update(chunk)
            yield chunk
        found = Digest(self._hash.digest())
        if found != self._declared:
            raise UnverifiedError(f"target {self._path!r} has sha256 {found}, declared was {self._declared}")

    def drain(self) -> None:
        for _ in self:
            pass


def object_key(path: str, digest: Digest) -> str:
    """Return the key of a target's bytes: its consistent-snapshot name (TUF 7.2) under `targets/`.

    Raises:
        InvalidError: the path is neither a package's nor a publisher's guard.
    """
    parts = path.split("/")
    if len(parts) == 3 and path == guard_path(parts[1]):  # noqa: PLR2004 - guard/<publisher>/guard.json
        return f"targets/guard/{parts[1]}/{digest}.guard.json"
    return f"targets/{require_target_path(path).hashed(digest)}"


def take(
    store: ObjectStore, path: TargetPath | str, declared: Digest, chunks: Iterable[bytes], max_bytes: int
) -> tuple[Digest, int]:
    """Store a target's bytes if they are what was declared; again is fine.

    Args:
        store: where to.
        path: a package's target path, or `guard/<publisher>/guard.json`.
        declared: the uploader's own digest.
        chunks: the bytes; always read to their end, unless they are refused.
        max_bytes: the most that is taken.

    Returns:
        Our digest of them, equal to the declared one, and their length in bytes.

    Raises:
        InvalidError: the path is none we know.
        UnverifiedError: the bytes are not the declared ones, or the store holds others under their digest.
        OversizedError: there are more than `max_bytes`.
    """
    key = object_key(str(path), declared)
    hashing = _Hashing(str(path), declared, chunks, max_bytes)
    if _exists(store, key):
        hashing.drain()
        require_stored(store, str(path), declared, hashing.length)
        return declared, hashing.length
    try:
        store.create_stream(key, hashing)
    except AlreadyExistsError:  # somebody else uploads the same
        hashing.drain()
        require_stored(store, str(path), declared, hashing.length)
    return declared, hashing.length


def require_stored(store: ObjectStore, path: str, digest: Digest, length: int) -> None:
    """Check, by reading all of it, that the store holds a target's bytes.

    Raises:
        UnknownError: it holds nothing there.
        UnverifiedError: it holds other bytes, or more or fewer.
    """
    key = object_key(path, digest)
    found = hashlib.sha256()
    count = 0
    try:
        with store.open(key) as chunks:
            for chunk in chunks:
                found.update(chunk)
                count += len(chunk)
    except NotFoundError as exc:
        raise UnknownError(f"bytes of target {path!r} with sha256 {digest} were not uploaded") from exc
    if count != length:
        raise UnverifiedError(f"target {path!r} has {count} bytes in the store, its role says {length}")
    if found.digest() != digest.raw:
        raise UnverifiedError(
            f"target {path!r} has sha256 {found.hexdigest()} in the store, its role says {digest}"
        )


def _exists(store: ObjectStore, key: str) -> bool:
    try:
        store.head(key)
    except NotFoundError:
        return False
    return True
