"""Sets of small numbers as bytes: what the index of the fleet keeps in a row.

A set is an `int` whose bit n stands for the number n. Few members are kept as their numbers, two bytes each;
many as the bits themselves. The first byte tells which.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

CHUNK: Final = 8192
"""Numbers of one set: 0 to 8191, so that a set takes 1025 bytes at most."""

_FEW: Final = 64
_NUMBERS: Final = b"\0"
_BITS: Final = b"\1"


def of(numbers: Iterable[int]) -> int:
    """Return the set of these numbers."""
    found = bytearray(CHUNK // 8)
    for number in numbers:
        found[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(found, "little")


def chunks(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield any numbers as sets: which stretch of `CHUNK` numbers, and the set of those in it."""
    found: dict[int, bytearray] = {}
    for number in numbers:
        chunk, place = divmod(number, CHUNK)
        held = found.get(chunk)
        if held is None:
            held = found[chunk] = bytearray(CHUNK // 8)
        held[place >> 3] |= 1 << (place & 7)
    for chunk, data in found.items():
        yield chunk, int.from_bytes(data, "little")


def lowest(bits: int, most: int) -> list[int]:
    """Return the `most` lowest members, in order."""
    found: list[int] = []
    while bits and len(found) < most:
        bit = bits & -bits
        found.append(bit.bit_length() - 1)
        bits ^= bit
    return found


def pack(bits: int) -> bytes:
    """Return the set as bytes."""
    count = bits.bit_count()
    if count <= _FEW:
        return _NUMBERS + struct.pack(f"<{count}H", *lowest(bits, count))
    return _BITS + bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def unpack(data: bytes) -> int:
    """Return the set that `pack` made these bytes of."""
    if data[:1] == _BITS:
        return int.from_bytes(data[1:], "little")
    return of(struct.unpack(f"<{(len(data) - 1) // 2}H", data[1:]))
