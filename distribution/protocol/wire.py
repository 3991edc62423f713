"""Bytes to messages and back, the same for both sides of the wire.

OpAMP "WebSocket Message Format": a binary frame is a header, the varint 0, and a protobuf message. Older
peers leave the header out; a message cannot begin with a zero byte, so both forms are read and the newer is
written. OpAMP "Plain HTTP Transport": the body is the message alone, gzipped if its `Content-Encoding` says
so. Nothing larger than the cap is parsed, nothing is unpacked beyond it, and what is large is not parsed
before its fields were counted.
"""

import gzip
import zlib
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from distribution.errors import MalformedError, OversizedError
from distribution.protocol.skim import require_few_fields

MAX_MESSAGE_BYTES = 64 << 20
"""Largest message either side takes, in bytes, unpacked (OpAMP recommends 64 MiB)."""

SERVER_MESSAGE_MAX_BYTES = 4 << 20
"""Largest message to an agent, both ways: one of 64 MiB can parse to 1.5 GiB and stop every thread."""

UNCOUNTED_BYTES = 256 << 10
"""Messages up to this size are parsed as they are: no number of fields in them takes long."""

CONTENT_TYPE = "application/x-protobuf"
"""`Content-Type` of a message over plain HTTP (OpAMP "Plain HTTP Transport")."""

INSTANCE_UID_HEADER = "OpAMP-Instance-UID"
"""Header of a plain HTTP request that repeats the instance uid in its canonical text form."""

WS_HEADER = b"\x00"
"""What comes before a message in a WebSocket frame."""

_GZIP_MEMBERS_MAX = 16
"""Members of one gzip stream: each costs a copy of what follows it, and every encoder writes one."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS

M = TypeVar("M", bound=Message)


def encode_ws(message: Message) -> bytes:
    """Return the payload of one binary WebSocket frame."""
    return WS_HEADER + message.SerializeToString()


def decode_ws(payload: bytes, kind: type[M], max_bytes: int = MAX_MESSAGE_BYTES) -> M:
    """Read the payload of one binary WebSocket frame.

    Raises:
        OversizedError: the payload is larger than `max_bytes`.
        MalformedError: it is no message of this kind.
    """
    require_size(len(payload), max_bytes)
    return decode(payload[1:] if payload[:1] == WS_HEADER else payload, kind)


def decode(body: bytes, kind: type[M]) -> M:
    """Read a message without a header. Raises MalformedError."""
    if len(body) > UNCOUNTED_BYTES:
        require_few_fields(body, kind)
    message = kind()
    try:
        message.ParseFromString(body)
    except DecodeError as exc:
        raise MalformedError(f"{len(body)} bytes are no {kind.__name__} message") from exc
    return message


def encode_http(message: Message, *, compress: bool) -> bytes:
    """Return the body of a plain HTTP request or response, gzipped if the peer said that it reads gzip."""
    body = message.SerializeToString()
    return packed(body) if compress else body


def packed(body: bytes) -> bytes:
    """Return a body as a peer gets it that reads gzip."""
    return gzip.compress(body, mtime=0)


def decode_http(body: bytes, kind: type[M], encoding: str, max_bytes: int = MAX_MESSAGE_BYTES) -> M:
    """Read the body of a plain HTTP request or response.

    Args:
        body: the bytes as they came.
        kind: the message to read.
        encoding: value of `Content-Encoding`, empty if there was none.
        max_bytes: cap on the body, packed and unpacked.

    Raises:
        OversizedError: the body is larger than the cap, or unpacks to more.
        MalformedError: another encoding, a broken stream, or no message of this kind.
    """
    require_size(len(body), max_bytes)
    match encoding.strip().lower():
        case "" | "identity":
            return decode(body, kind)
        case "gzip" | "x-gzip":
            return decode(gunzip(body, max_bytes), kind)
    raise MalformedError(f"content encoding {encoding!r} is neither 'identity' nor 'gzip'")


def gunzip(body: bytes, max_bytes: int) -> bytes:
    """Unpack one gzip stream (RFC 1952; several members are joined), never beyond `max_bytes`.

    Raises:
        OversizedError: it unpacks to more.
        MalformedError: it is broken, ends early, or has absurdly many members.
    """
    plain = bytearray()
    rest = body
    members = 0
    try:
        while rest:
            members += 1
            if members > _GZIP_MEMBERS_MAX:
                raise MalformedError(f"gzip stream has more than {_GZIP_MEMBERS_MAX} members")
            member = zlib.decompressobj(_GZIP_WINDOW)
            plain += member.decompress(rest, max_bytes - len(plain) + 1)
            require_size(len(plain), max_bytes)
            if not member.eof:
                raise MalformedError(f"gzip stream of {len(body)} bytes ends early")
            rest = member.unused_data
    except zlib.error as exc:
        raise MalformedError(f"{len(body)} bytes are no gzip stream") from exc
    return bytes(plain)


def require_size(size: int, max_bytes: int) -> None:
    """Check a size in bytes against the cap before any of it is kept. Raises OversizedError."""
    if size > max_bytes:
        raise OversizedError(f"message of {size} bytes is larger than the limit of {max_bytes} bytes")
