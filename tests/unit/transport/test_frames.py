"""Frames cut here and frames left to the library; the two against each other."""

import os
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from distribution.transport.frames import FrameReader, binary_frame, close_frame, library_logger
from tests.fakes.frames import frame

CAP = 300


def _feed(reader: FrameReader, data: bytes) -> list[bytes]:
    return reader.feed(memoryview(data))


@pytest.mark.parametrize("size", [0, 1, 125, 126, CAP])
def test_whole_frame_is_read(size: int) -> None:
    """A binary frame of any length up to the cap is one message, unmasked."""
    reader, payload = FrameReader(CAP), bytes(number % 251 for number in range(size))
    assert _feed(reader, frame(payload)) == [payload]
    assert (reader.take_out(), reader.ended) == ([], False)


@given(data=st.binary(max_size=140), kept=st.binary(max_size=3))
def test_small_whole_frame_is_read_alike(data: bytes, kept: bytes) -> None:
    """What the quickest way returns is all that the reader would have returned; else it takes nothing."""
    for sent in (data, frame(data), frame(data) + kept, frame(data)[: len(data)], frame(data, first=0x01)):
        reader, other, came = FrameReader(130), FrameReader(130), bytearray(sent) + bytearray(64)
        found = reader.whole(came, len(sent))
        expected = _feed(other, sent)
        if found is not None:
            assert ([found], other.take_out(), other.begun) == (expected, [], False)
        elif not other.begun and not other.ended:
            assert len(expected) != 1 or len(expected[0]) > 125 or sent == data
        assert _feed(reader, sent if found is None else b"") == (expected if found is None else [])


def test_nothing_is_whole_within_a_message() -> None:
    """A frame after the beginning of another one is not taken out of its turn."""
    for begun in (frame(b"abc")[:4], frame(b"ab", first=0x02)):
        reader = FrameReader(CAP)
        assert _feed(reader, begun) == []
        assert reader.whole(bytearray(frame(b"x")), len(frame(b"x"))) is None


def test_long_frame_is_read() -> None:
    """A length of 64 bits is read too."""
    payload = bytes(70_000)
    assert _feed(FrameReader(1 << 20), frame(payload)) == [payload]


def test_several_frames_in_one_read() -> None:
    """What comes together is taken apart."""
    assert _feed(FrameReader(CAP), frame(b"a") + frame(b"b") + frame(b"c")) == [b"a", b"b", b"c"]


def test_frame_in_single_bytes() -> None:
    """A frame may arrive in any pieces."""
    reader, found = FrameReader(CAP), []
    for byte in frame(b"x" * 200) + frame(b"y"):
        found += _feed(reader, bytes((byte,)))
    assert found == [b"x" * 200, b"y"]


def test_fragments_are_joined_around_a_ping() -> None:
    """A message in fragments is one message; a ping between them is answered."""
    reader = FrameReader(CAP)
    assert _feed(reader, frame(b"ab", first=0x02)) == []
    assert _feed(reader, frame(b"hi", first=0x89)) == []
    assert reader.take_out() == [Frame(Opcode.PONG, b"hi").serialize(mask=False)]
    assert _feed(reader, frame(b"", first=0x00) + frame(b"cd", first=0x80)) == [b"abcd"]
    assert _feed(reader, frame(b"next")) == [b"next"]


def test_library_is_let_go_at_a_border() -> None:
    """After a control frame nothing is kept of the library: an idle connection stays small."""
    reader = FrameReader(CAP)
    _feed(reader, frame(b"", first=0x89))
    assert reader._library is None


def test_close_is_echoed() -> None:
    """The peer's close is answered, and nothing is read after it."""
    reader = FrameReader(CAP)
    body = Close(CloseCode.NORMAL_CLOSURE, "bye").serialize()
    assert _feed(reader, frame(b"last") + frame(body, first=0x88) + frame(b"late")) == [b"last"]
    assert reader.take_out() == [Frame(Opcode.CLOSE, body).serialize(mask=False)]
    assert (reader.ended, reader.broken) == (True, None)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(b"text", first=0x81), 1003),
        (frame(b"te", first=0x01), 1003),
        (frame(b"", length=CAP + 1)[:14], 1009),
        (frame(b"x" * 200, first=0x02) + frame(b"x" * 101, first=0x80), 1009),
        (frame(b"x" * 200, first=0x02) + frame(b"x" * 200, first=0x80)[:4], 1009),
        (frame(b"bare", masked=False), 1002),
        (frame(b"reserved", first=0xC2), 1002),
        (frame(b"unknown", first=0x83), 1002),
        (frame(b"x" * 126, first=0x89), 1002),
        (frame(b"", first=0x09), 1002),
        (frame(b"alone", first=0x80), 1002),
        (frame(b"ab", first=0x02) + frame(b"cd"), 1002),
        (frame(b"\x03", first=0x88), 1002),
        (frame(b"", length=1 << 63, form=64), 1009),
    ],
    ids=[
        "text",
        "text-fragment",
        "oversized-by-header",
        "oversized-in-fragments",
        "oversized-in-fragments-by-header",
        "unmasked",
        "reserved-bit",
        "unknown-opcode",
        "long-ping",
        "ping-in-fragments",
        "continuation-of-nothing",
        "message-inside-a-message",
        "close-of-one-byte",
        "absurd-length",
    ],
)
def test_what_the_protocol_forbids_ends_the_connection(sent: bytes, code: int) -> None:
    """Each offence has its code, and nothing is taken from the connection after it."""
    reader = FrameReader(CAP)
    assert _feed(reader, sent) == []
    out = b"".join(reader.take_out())
    assert (out[0], int.from_bytes(out[2:4], "big")) == (0x88, code)
    assert reader.ended
    broken = reader.broken
    assert broken is not None
    assert (broken.code, broken.words.encode()) == (code, out[4:])
    assert (broken.most == CAP) is (code == CloseCode.MESSAGE_TOO_BIG)
    assert _feed(reader, frame(b"late")) == []


def test_oversized_message_is_not_kept() -> None:
    """A message over the cap is refused by its header: its body is never collected."""
    reader = FrameReader(CAP)
    _feed(reader, frame(b"x" * 100, length=1 << 40))
    assert reader.ended
    assert len(reader._pending) == 0


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_we_send_are_the_librarys(size: int) -> None:
    """Our own framing is what the library would write."""
    payload = bytes(size)
    assert binary_frame(payload) == Frame(Opcode.BINARY, payload).serialize(mask=False)


def test_reason_that_is_too_long_is_cut() -> None:
    """A control frame holds 125 bytes; a character is not cut in two."""
    written = close_frame(CloseCode.POLICY_VIOLATION, "é" * 100)
    assert written[1] <= 125
    assert written[4:].decode() == "é" * 61


FIRST_BYTES = st.sampled_from([0x82] * 6 + [0x02, 0x00, 0x80, 0x81, 0x01, 0x88, 0x89, 0x8A, 0x83, 0xC2, 0x09])
FRAMES = st.builds(
    frame,
    st.binary(max_size=CAP + 10),
    first=FIRST_BYTES,
    masked=st.sampled_from([True] * 15 + [False]),
    form=st.sampled_from([None, None, None, 64]),
)
STREAMS = st.lists(st.one_of(FRAMES, FRAMES, FRAMES, st.binary(max_size=20)), max_size=8).map(b"".join)


def _by_the_library(stream: bytes) -> tuple[list[bytes], bytes, bool]:
    """Read a stream byte by byte with the library alone, and with our one rule, that text is refused."""
    library = ServerProtocol(state=State.OPEN, max_size=CAP, logger=library_logger)
    messages, parts, out = [], b"", b""
    for byte in stream:
        library.receive_data(bytes((byte,)))
        for event in library.events_received():
            if not isinstance(event, Frame):
                continue
            if event.opcode is Opcode.TEXT:
                library.fail(CloseCode.UNSUPPORTED_DATA, "OpAMP messages are binary")
            elif event.opcode in (Opcode.BINARY, Opcode.CONT):
                parts += bytes(event.data)
                if event.fin:
                    messages.append(parts)
                    parts = b""
        out += b"".join(library.data_to_send())
        if library.state is not State.OPEN:
            return messages, out, True
    return messages, out, False


def _agree(stream: bytes, cuts: list[int]) -> None:
    reader, messages, out = FrameReader(CAP), [], b""
    borders = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for start, end in pairwise(borders):
        messages += _feed(reader, stream[start:end])
        out += b"".join(reader.take_out())
        if reader.ended:
            break
    assert (messages, out, reader.ended) == _by_the_library(stream)


@pytest.mark.rounds(3_000, 6_000, 100_000)
def test_reader_and_library_agree(rounds: int) -> None:
    """Whatever comes, in whatever pieces: the library's messages, its answers, its end."""
    examples = int(os.environ.get("QUARTERMASTER_FUZZ_EXAMPLES", rounds))
    pieces = st.lists(st.integers(0, 2500), max_size=12)
    settings(max_examples=examples, deadline=None)(given(STREAMS, pieces)(_agree))()
