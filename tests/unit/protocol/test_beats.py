"""Heartbeats by their bytes, against what reading a message finds."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from opamp.v1 import opamp_pb2

from distribution.domain.agent import Capability
from distribution.errors import MalformedError
from distribution.protocol.beats import Beat, varint
from distribution.protocol.reports import from_websocket
from distribution.protocol.wire import WS_HEADER, encode_ws

UID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
ABLE = Capability.REPORTS_STATUS | Capability.REPORTS_HEARTBEAT


def _said(sequence: int, **parts: object) -> bytes:
    message = opamp_pb2.AgentToServer(instance_uid=UID.bytes, sequence_num=sequence, capabilities=int(ABLE))
    for name, value in parts.items():
        setattr(message, name, value)
    return encode_ws(message)


@given(sequence=st.integers(1, (1 << 64) - 1))
def test_form_is_what_protobuf_writes(sequence: int) -> None:
    """The heartbeat of any number is the one that a client's library makes."""
    assert Beat(UID, ABLE, WS_HEADER).numbered(sequence) == _said(sequence)


@given(number=st.integers(0, (1 << 64) - 1))
def test_whole_number(number: int) -> None:
    """Numbers are written as protobuf writes them."""
    written = opamp_pb2.AgentToServer(sequence_num=number).SerializeToString()
    assert varint(number) == (written[1:] or b"\x00")


@given(
    sequence=st.integers(1, 1 << 20),
    at=st.integers(0, 30),
    bit=st.integers(0, 7),
)
def test_what_has_the_form_reads_as_a_heartbeat(sequence: int, at: int, bit: int) -> None:
    """A message that is not the expected heartbeat is another one; the one that is reads as nothing more."""
    expected = Beat(UID, ABLE, WS_HEADER).numbered(sequence)
    report = from_websocket(expected)
    assert (report.uid, report.sequence, report.capabilities) == (UID, sequence, ABLE)
    assert report.is_heartbeat
    altered = bytearray(expected)
    altered[at % len(altered)] ^= 1 << bit
    assert bytes(altered) != expected
    try:
        other = from_websocket(bytes(altered))
    except MalformedError:
        return
    same = (other.uid, other.sequence, other.capabilities) == (UID, sequence, ABLE) and other.is_heartbeat
    assert same == (from_websocket(bytes(altered)) == report)


def test_other_capabilities_are_another_form() -> None:
    """What an agent can now differs from what it could: that is to be read."""
    assert Beat(UID, ABLE, b"").capabilities is ABLE
    assert Beat(UID, ABLE, WS_HEADER).numbered(7) != _said(7, capabilities=1)
