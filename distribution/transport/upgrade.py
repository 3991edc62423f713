"""The handshake of a WebSocket, as bytes: who may enter is asked here, the library reads and writes.

An ordinary request is read and accepted without the library, because a fleet that comes back at once sends
thousands of them: `accepting` takes what has just the headers that it must have, each once, and perhaps
others that have no say here. All else is the library's, and so is every refusal. A test compares the two.
"""

import base64
import binascii
import time
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from distribution.transport.errors import answer_for
from distribution.transport.frames import library_logger

_END: Final = b"\r\n\r\n"
_KEY_BYTES: Final = 16
_MUST: Final = {b"upgrade": b"websocket", b"connection": b"upgrade", b"sec-websocket-version": b"13"}
_KEY: Final = b"sec-websocket-key"
_WITHOUT_SAY: Final = frozenset((b"host", b"user-agent", b"opamp-instance-uid", b"accept-encoding"))
_VISIBLE: Final = bytes(range(0x20, 0x7F))
"""Bytes of a header's value that are read here; more are allowed (RFC 9110 5.5), and the library's affair."""


def accepting(data: bytes, path: str) -> bytes | None:
    """Return the response that accepts an ordinary request for `path`; None: the library is to read it."""
    if not data.endswith(_END):
        return None
    first, *lines = data[: -len(_END)].split(b"\r\n")
    if first != b"GET %s HTTP/1.1" % path.encode():
        return None
    found: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b": ")
        known = name.lower()
        if not colon or known in found or value.translate(None, _VISIBLE):
            return None
        found[known] = value
    if any(found.pop(name, b"").lower() != value for name, value in _MUST.items()):
        return None
    key = found.pop(_KEY, b"")
    if not found.keys() <= _WITHOUT_SAY or not _is_key(key):
        return None
    return _accepted(int(time.time())) + accept_key(key.decode()).encode() + _END


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


@lru_cache(maxsize=2)
def _accepted(second: int) -> bytes:
    """Return the response to its last header's value, with the date of this second since 1970."""
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        f"Date: {formatdate(second, usegmt=True)}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: ",
    )
    return "\r\n".join(lines).encode()


def request_of(data: bytes) -> tuple[ServerProtocol, Request | None]:
    """Return the library's side of a handshake, and the request in `data`, None if there is none."""
    library = ServerProtocol(logger=library_logger)
    library.receive_data(data)
    requests = [event for event in library.events_received() if isinstance(event, Request)]
    return library, requests[0] if requests else None


def rejected(library: ServerProtocol, error: Exception) -> Response:
    """Return the response that refuses an upgrade for this error."""
    answer = answer_for(error)
    response = library.reject(answer.status, f"{answer.text}\n")
    for name, value in answer.headers.items():
        response.headers[name] = value
    return response
