"""How many fields a message has, found without parsing it: what parsing costs is its fields, not its bytes.

The parser gives nobody else a turn until it is through (it holds the interpreter's lock, so a thread would
not help), and four megabytes of the smallest fields there are take it a second. So a large message is skimmed
first: field by field, through all messages within it, and no further than to the first field too many. What
is opaque (text, bytes, fields that we do not know) is one field, however long it is.

protobuf "Encoding": a tag is a varint of number and wire type. Groups are refused, proto3 has none.
"""

from functools import lru_cache
from typing import Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from distribution.errors import MalformedError

FIELDS_MAX: Final = 32_768
"""Fields of a large message, those of messages within it included. Whole fleets of parts have fewer."""

_VARINT: Final = 0
_LENGTH: Final = 2
_FIXED: Final = {1: 8, 5: 4}
_MORE: Final = 0x80
_VARINT_MAX_BITS: Final = 70


class Inner(dict[int, "Inner"]):
    """Which fields of a message are messages themselves, by number."""


def require_few_fields(body: bytes, kind: type[Message]) -> None:
    """Check that a message has few enough fields to be parsed at once.

    Raises:
        MalformedError: it has too many, or is no message.
    """
    pos, end, inner = 0, len(body), _inner(kind.DESCRIPTOR)
    outer: list[tuple[int, Inner]] = []
    fields = 0
    try:
        while pos < end or outer:
            if pos == end:
                end, inner = outer.pop()
                continue
            fields += 1
            byte = body[pos]  # most numbers are one byte: read here, for what a call costs
            tag, pos = (byte, pos + 1) if byte < _MORE else _number(body, pos)
            if tag & 7 == _LENGTH:
                byte = body[pos]
                length, pos = (byte, pos + 1) if byte < _MORE else _number(body, pos)
                after, within = pos + length, inner.get(tag >> 3)
            else:
                after, within = _after(body, pos, tag & 7), None
            if after > end or fields > FIELDS_MAX:
                raise _refused(body, fields)
            if within is None:
                pos = after
            else:
                outer.append((end, inner))
                end, inner = after, within
    except IndexError:
        raise MalformedError(f"message of {len(body)} bytes ends early") from None


def _refused(body: bytes, fields: int) -> MalformedError:
    if fields > FIELDS_MAX:
        return MalformedError(f"message of {len(body)} bytes has more than {FIELDS_MAX} fields")
    return MalformedError(f"message of {len(body)} bytes has a field that ends after its message")


def _after(body: bytes, pos: int, wire_type: int) -> int:
    """Return where a number ends. Raises IndexError, MalformedError."""
    if wire_type == _VARINT:
        return pos + 1 if body[pos] < _MORE else _number(body, pos)[1]
    if wire_type in _FIXED:
        return pos + _FIXED[wire_type]
    raise MalformedError(f"field has wire type {wire_type}, expected 0, 1, 2 or 5")


def _number(body: bytes, pos: int) -> tuple[int, int]:
    """Return a varint and where it ends. Raises IndexError, MalformedError."""
    number = 0
    for shift in range(0, _VARINT_MAX_BITS, 7):
        byte = body[pos]
        pos += 1
        number |= (byte & ~_MORE) << shift
        if byte < _MORE:
            return number, pos
    raise MalformedError(f"number has more than {_VARINT_MAX_BITS // 7} bytes")


@lru_cache(maxsize=16)
def _inner(kind: Descriptor) -> Inner:
    """Return what a message and all within it consist of; a message within itself is one value."""
    made: dict[str, Inner] = {}

    def of(one: Descriptor) -> Inner:
        known = made.get(one.full_name)
        if known is None:
            known = made[one.full_name] = Inner()
            for field in one.fields:
                if field.message_type is not None:
                    known[field.number] = of(field.message_type)
        return known

    return of(kind)
