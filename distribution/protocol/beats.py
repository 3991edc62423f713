"""Heartbeats, known by their bytes: most messages say nothing but that the agent is still there.

What the next heartbeat of an agent looks like is known before it comes: the instance uid, the next sequence
number, the capabilities as they were, in the order of the fields' numbers, and nothing else. A message of
just these bytes need not be read; whatever differs in one bit is read as any other message. What is taken for
a heartbeat here is what reading would have found; a test with random messages compares the two.
"""

from typing import Final
from uuid import UUID

from opamp.v1 import opamp_pb2

from distribution.domain.agent import Capability

_SEQUENCE_TAG: Final = b"\x10"  # field 2, varint
_BITS: Final = 7
_LOW: Final = 0x7F
_LAST: Final = tuple(bytes((digit,)) for digit in range(1 << _BITS))
_MORE: Final = tuple(bytes((digit | 0x80,)) for digit in range(1 << _BITS))
_TWO_DIGITS: Final = range(1 << _BITS, 1 << 2 * _BITS)


class Beat:
    """The form of one agent's heartbeats."""

    __slots__ = ("_head", "_tail", "capabilities")

    def __init__(self, uid: UUID, capabilities: Capability, prefix: bytes) -> None:
        """`prefix` is what the transport puts before a message."""
        self.capabilities = capabilities
        said = opamp_pb2.AgentToServer(instance_uid=uid.bytes)
        self._head = prefix + said.SerializeToString() + _SEQUENCE_TAG
        self._tail = opamp_pb2.AgentToServer(capabilities=int(capabilities)).SerializeToString()

    def numbered(self, sequence: int) -> bytes:
        """Return the heartbeat that has this sequence number, which is above 0."""
        if sequence in _TWO_DIGITS:
            return self._head + _MORE[sequence & _LOW] + _LAST[sequence >> _BITS] + self._tail
        return self._head + varint(sequence) + self._tail


def varint(number: int) -> bytes:
    """Return a whole number as protobuf writes it: 7 bits a byte, the lowest first."""
    digits = b""
    while number > _LOW:
        digits += _MORE[number & _LOW]
        number >>= _BITS
    return digits + _LAST[number]
