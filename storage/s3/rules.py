"""What S3's answers mean to us, and how it wants a stream cut; pure, without its client library.

S3-compatible stores agree on statuses more than on codes, so the status decides and the code only where one
status means two things. Whatever is not understood is `UnavailableError`: never a success, never a "missing".
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus

from storage.errors import NotFoundError, PreconditionError, StorageError, UnavailableError

PART_BYTES = 8 << 20
"""Size of a part of a multipart upload. S3 wants 5 MiB at least and 10,000 parts at most: 80 GB an object."""

_MISSING_OBJECT_CODES = frozenset({"NoSuchKey", "NoSuchUpload", "NotFound", "404"})  # a HEAD has only "404"
_CONFLICT_CODES = frozenset({"ConditionalRequestConflict", "OperationAborted"})


class ConflictError(UnavailableError):
    """The store saw another change of the object under way and decided nothing: ask again."""


class RangeError(StorageError):
    """The range starts past the end of the object."""


def error_for(what: str, status: int, code: str) -> StorageError:
    """Return the error of ours for a refusal.

    Args:
        what: the object, for the message.
        status: the HTTP status.
        code: the error code in the body, or the status as text where there is no body.
    """
    if status == HTTPStatus.NOT_FOUND and code in _MISSING_OBJECT_CODES:
        return NotFoundError(f"{what} does not exist")
    if status == HTTPStatus.PRECONDITION_FAILED:
        return PreconditionError(f"{what} is not what the condition asked for")
    if status == HTTPStatus.CONFLICT and code in _CONFLICT_CODES:
        return ConflictError(f"{what} is being changed by others ({code})")
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return RangeError(f"{what} ends before the range starts")
    if status == HTTPStatus.FORBIDDEN:
        return UnavailableError(f"{what}: the store refuses these credentials or this request ({code})")
    return UnavailableError(f"{what}: the store answered {status} ({code})")


def in_parts(chunks: Iterable[bytes], part_bytes: int) -> Iterator[bytes]:
    """Yield the stream again in pieces of exactly `part_bytes`, but for the last; never nothing at all."""
    held = bytearray()
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            fits = part_bytes - len(held)
            if fits == 0:
                yield bytes(held)
                held.clear()
                continue
            held += rest[:fits]
            rest = rest[fits:]
    yield bytes(held)


def plain_tag(quoted: str) -> str:
    """Return an entity tag without the quotes that HTTP puts around it."""
    return quoted.strip('"')


def byte_range(start: int, length: int | None) -> str:
    """Return the Range header for a length above zero. RFC 9110 14.1.2: both ends are inclusive."""
    return f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"
