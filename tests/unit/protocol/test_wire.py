"""Bytes to messages and back: header, caps, gzip."""

import gzip
from contextlib import nullcontext

import pytest
from opamp.v1 import opamp_pb2

from distribution.errors import MalformedError, OversizedError
from distribution.protocol import wire

UID = bytes(range(1, 17))
MESSAGE = opamp_pb2.AgentToServer(instance_uid=UID, sequence_num=7)


def test_websocket_payload_is_a_zero_byte_and_the_message() -> None:
    """What is written over WebSocket begins with the varint 0."""
    payload = wire.encode_ws(MESSAGE)
    assert (payload[:1], payload[1:]) == (b"\x00", MESSAGE.SerializeToString())


@pytest.mark.parametrize("header", [b"", b"\x00"])
def test_both_forms_of_header_are_read(header: bytes) -> None:
    """A message is read with the header and, as older peers send it, without."""
    assert wire.decode_ws(header + MESSAGE.SerializeToString(), opamp_pb2.AgentToServer) == MESSAGE


@pytest.mark.parametrize("payload", [b"", b"\x00"])
def test_empty_payload_is_an_empty_message(payload: bytes) -> None:
    """Protobuf encodes a message without fields as nothing at all."""
    assert wire.decode_ws(payload, opamp_pb2.AgentToServer) == opamp_pb2.AgentToServer()


@pytest.mark.parametrize(
    "payload",
    [
        b"\x01" + MESSAGE.SerializeToString(),
        b"\x80\x00" + MESSAGE.SerializeToString(),
        b"\x00\x00" + MESSAGE.SerializeToString(),
        wire.encode_ws(MESSAGE)[:-1],
        b"\x00" + b"\xff" * 40,
        b"hello",
    ],
    ids=["header-one", "header-padded", "header-twice", "truncated", "garbage", "text"],
)
def test_bytes_that_are_no_message_are_malformed(payload: bytes) -> None:
    """Any other header, a cut message and garbage are refused as malformed."""
    with pytest.raises(MalformedError, match="no AgentToServer message"):
        wire.decode_ws(payload, opamp_pb2.AgentToServer)


def test_payload_over_the_cap_is_not_parsed() -> None:
    """The cap covers header and message, and the error names both sizes."""
    payload = wire.encode_ws(MESSAGE)
    assert wire.decode_ws(payload, opamp_pb2.AgentToServer, len(payload)) == MESSAGE
    with pytest.raises(OversizedError, match=f"{len(payload)} bytes .* {len(payload) - 1} bytes"):
        wire.decode_ws(payload, opamp_pb2.AgentToServer, len(payload) - 1)


@pytest.mark.parametrize(("compress", "encoding"), [(False, ""), (False, "identity"), (True, " GZip ")])
def test_http_body_makes_the_round_trip(*, compress: bool, encoding: str) -> None:
    """A body is read as its `Content-Encoding` says."""
    body = wire.encode_http(MESSAGE, compress=compress)
    assert wire.decode_http(body, opamp_pb2.AgentToServer, encoding) == MESSAGE


def test_gzip_members_are_joined() -> None:
    """RFC 1952 allows several members in one stream."""
    plain = MESSAGE.SerializeToString()
    body = gzip.compress(plain[:5]) + gzip.compress(plain[5:])
    assert wire.decode_http(body, opamp_pb2.AgentToServer, "gzip") == MESSAGE


def test_gzip_bomb_stops_at_the_cap() -> None:
    """A small body that unpacks to more than the cap is refused."""
    with pytest.raises(OversizedError):
        wire.decode_http(gzip.compress(bytes(1 << 20)), opamp_pb2.AgentToServer, "gzip", 1 << 16)


def test_packed_body_over_the_cap_is_refused() -> None:
    """The cap also holds for the body as it came."""
    with pytest.raises(OversizedError):
        wire.decode_http(bytes(65), opamp_pb2.AgentToServer, "", 64)


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        (gzip.compress(b"abc" * 100)[:-9], "gzip", "ends early"),
        (b"no gzip at all", "gzip", "no gzip stream"),
        (b"", "br", "'br' is neither"),
    ],
    ids=["cut", "plain", "brotli"],
)
def test_broken_and_foreign_encodings_are_malformed(body: bytes, encoding: str, said: str) -> None:
    """A stream that ends early, is no gzip, or has another encoding is refused."""
    with pytest.raises(MalformedError, match=said):
        wire.decode_http(body, opamp_pb2.AgentToServer, encoding)


def test_a_stream_of_many_members_is_refused() -> None:
    """Every member costs a copy of what follows it, so hundreds of thousands would stop the event loop."""
    with pytest.raises(MalformedError, match="more than 16 members"):
        wire.gunzip(gzip.compress(b"") * 17, 1024)
    assert wire.gunzip(gzip.compress(b"a") * 16, 1024) == b"a" * 16


def test_a_large_message_of_too_many_fields_is_not_parsed() -> None:
    """Up to a size it is parsed as it is; beyond, only if it has few fields."""
    empty = b"\x0a\x00"  # a pair of a description
    for size, fields in ((wire.UNCOUNTED_BYTES, None), (wire.UNCOUNTED_BYTES + 2, "more than 32768 fields")):
        body = empty * (size // len(empty))
        with nullcontext() if fields is None else pytest.raises(MalformedError, match=fields):
            wire.decode(body, opamp_pb2.AgentDescription)
    large = opamp_pb2.CustomMessage(data=bytes(wire.UNCOUNTED_BYTES))
    assert wire.decode(large.SerializeToString(), opamp_pb2.CustomMessage) == large
