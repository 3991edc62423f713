"""Asks a store, before anything is published to it, whether it keeps the promises publishing rests on.

Some S3-compatible stores take a condition and ignore it; on such a one two publishers overwrite each other
in silence. The probe writes one object under `probe/`, tries every kind of write that must be refused, and
removes the object again.
"""

from collections.abc import Callable, Iterator

from storage.errors import AlreadyExistsError, PreconditionError, UnsuitableError
from storage.objects import CHUNK_BYTES, ObjectInfo, ObjectStore

_STREAM_CHUNKS = 9
"""A stream of 9 MiB: more than one part on S3, where the condition travels with the last request."""


def require_conditional_writes(store: ObjectStore, nonce: str) -> None:
    """Return if the store refuses to create twice, and to replace what has changed.

    Args:
        store: the store that is to be published to.
        nonce: letters and digits that no other probe uses at the same time.

    Raises:
        UnsuitableError: the store ignored a condition, or returned other bytes than it was given.
        UnavailableError: the store does not answer.
    """
    key = f"probe/{nonce}"
    first, second, third = (f"{nonce} {turn}".encode() for turn in ("first", "second", "third"))
    try:
        created = store.create(key, first)
        _refused(AlreadyExistsError, "create", lambda: store.create(key, second))
        _refused(AlreadyExistsError, "create_stream", lambda: store.create_stream(key, _long_stream()))
        _holds(store, key, first)
        replaced = store.replace(key, second, created.etag)
        _refused(PreconditionError, "replace", lambda: store.replace(key, third, created.etag))
        _holds(store, key, second)
        if store.head(key).etag != replaced.etag:
            raise UnsuitableError(f"object {key!r} has another tag than its write returned")
    finally:
        store.delete(key)


def _refused(expected: type[Exception], kind: str, write: Callable[[], ObjectInfo]) -> None:
    try:
        write()
    except expected:
        return
    raise UnsuitableError(f"the store ignores conditions: {kind} overwrote, expected {expected.__name__}")


def _holds(store: ObjectStore, key: str, expected: bytes) -> None:
    body, _ = store.read(key, CHUNK_BYTES)
    if body != expected:
        raise UnsuitableError(f"object {key!r} holds {body[:80]!r}, expected {expected!r}")


def _long_stream() -> Iterator[bytes]:
    for _ in range(_STREAM_CHUNKS):
        yield bytes(CHUNK_BYTES)
