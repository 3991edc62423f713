"""Hashes that name what is offered and which try of it this is.

Agents remember the hash of what they were offered and pass over an equal one, even where applying it
failed. So a further try needs another hash of the same content: its digest, then the number of the try. To
agents the whole is opaque; the server knows its own content again in every report, also after a restart.
"""

from typing import Final

DIGEST_BYTES: Final = 32
ATTEMPT_BYTES: Final = 2
ATTEMPT_MOST: Final = (1 << (8 * ATTEMPT_BYTES)) - 1

MARK_BYTES: Final = 8
"""Of a mark behind the number, by which equal content in different company has another hash."""

_LENGTHS: Final = (DIGEST_BYTES + ATTEMPT_BYTES, DIGEST_BYTES + ATTEMPT_BYTES + MARK_BYTES)


def numbered(digest: bytes, attempt: int, mark: bytes = b"") -> bytes:
    """Return the hash on the wire of this content (32 bytes) for this try, counted from one.

    It has 34 bytes, and 8 more with a mark. Tries beyond `ATTEMPT_MOST` keep that number.
    """
    if len(mark) not in (0, MARK_BYTES):
        raise ValueError(f"mark has {len(mark)} bytes, expected none or {MARK_BYTES}")
    if len(digest) != DIGEST_BYTES or attempt < 1:
        raise ValueError(
            f"digest has {len(digest)} bytes and attempt is {attempt}, expected 32 and from 1 on"
        )
    return digest + min(attempt, ATTEMPT_MOST).to_bytes(ATTEMPT_BYTES, "big") + mark


def is_of(digest: bytes, named: bytes) -> bool:
    """Whether a hash that an agent reports names this content, whichever try it was."""
    return len(named) in _LENGTHS and named[:DIGEST_BYTES] == digest


def attempt_of(named: bytes) -> int:
    """Return the number of the try in a hash of ours; 0 if it is none of ours."""
    if len(named) not in _LENGTHS:
        return 0
    return int.from_bytes(named[DIGEST_BYTES : DIGEST_BYTES + ATTEMPT_BYTES], "big")
