"""Cuts a stream of bytes into WebSocket messages (RFC 6455), without I/O.

Rules: a whole, final, masked binary frame is read here; everything else (fragments, control frames, text,
errors) goes frame by frame to the `websockets` library, which also decides what is answered to it. The two
are fuzzed against each other. OpAMP has no text: it is refused with 1003. A message over the cap is refused
by its header with 1009, before its body is taken.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from websockets.exceptions import PayloadTooBig
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

try:
    from websockets.speedups import apply_mask as _fast_mask
except ImportError:  # a platform without the compiled part
    from websockets.utils import apply_mask as _fast_mask

FINAL_BINARY: Final = 0x82
_MASKED: Final = 0x80
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_SMALL_HEADER: Final = 2
_MASK_BYTES: Final = 4
_SMALL_WHOLE: Final = _SMALL_HEADER + _MASK_BYTES
_OPCODES: Final = frozenset(int(opcode) for opcode in Opcode)
_INCOMPLETE: Final = 0
_DOOMED: Final = -1

unmask = cast("Callable[[memoryview | bytearray, bytes | bytearray], bytes]", _fast_mask)

library_logger = logging.getLogger("distribution.transport.frames.library")
library_logger.setLevel(logging.WARNING)  # the library reports every connection at INFO; we report our own


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a connection is ended for what its peer sent.

    `words` name both values; of a message that is too large `size` and `most` are its bytes and the limit.
    """

    code: CloseCode
    words: str
    size: int | None = None
    most: int | None = None


class FrameReader:
    """Reads one connection's frames after the handshake.

    After each `feed` the caller MUST send `out` (by `take_out`), and close the connection if `ended`; that it
    is the peer's fault, `broken` says.
    """

    __slots__ = (
        "_library",
        "_max_bytes",
        "_needed",
        "_out",
        "_owed",
        "_parts",
        "_pending",
        "broken",
        "ended",
    )

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` caps a message."""
        self._max_bytes = max_bytes
        self._pending = bytearray()
        """The beginning of a frame that is not whole yet."""
        self._needed = 0
        """How many bytes `_pending` must have before it is looked at again."""
        self._library: ServerProtocol | None = None
        self._owed = 0
        """How many bytes of the present frame the library is still to get."""
        self._parts: list[bytes] = []
        self._out: list[bytes] = []
        self.ended = False
        self.broken: Broken | None = None

    def whole(self, data: bytearray, size: int) -> bytes | None:
        """Return the message of what came, if that is one small whole ordinary frame and nothing is begun.

        Most of what comes is such a frame. None: nothing is taken, `feed` is to be asked.

        Args:
            data: what came is at its beginning; it is not kept.
            size: how many bytes came.
        """
        if size < _SMALL_WHOLE or data[0] != FINAL_BINARY or self._pending or self._library is not None:
            return None
        length = data[1] - _MASKED
        if not 0 <= length < _LENGTH_16 or length + _SMALL_WHOLE != size or length > self._max_bytes:
            return None
        return unmask(data[_SMALL_WHOLE:size], data[_SMALL_HEADER:_SMALL_WHOLE])

    def feed(self, data: memoryview) -> list[bytes]:
        """Take bytes as they came; return the messages that are whole now. `data` is not kept."""
        messages: list[bytes] = []
        if self._pending:
            self._pending += data
            if len(self._pending) < self._needed:
                return messages
            data = memoryview(self._pending)
            self._pending = bytearray()
        position, end = 0, len(data)
        while position < end and not self.ended:
            if self._owed:
                taken = min(self._owed, end - position)
                self._owed -= taken
                self._hand_over(bytes(data[position : position + taken]), messages)
                position += taken
                continue
            start, length = _header(data, position, end, self._room())
            if start == _INCOMPLETE:
                self._keep(data[position:], length)
                break
            if start == _DOOMED:
                self._hand_over(bytes(data[position:end]), messages)
                break
            if not self._is_ordinary(data, position):
                self._owed = start - position + length
                continue
            if start + length > end:
                self._keep(data[position:], start - position + length)
                break
            messages.append(unmask(data[start : start + length], bytes(data[start - _MASK_BYTES : start])))
            position = start + length
        return messages

    @property
    def begun(self) -> bool:
        """Whether a part of a message is here, and the rest is still to come."""
        return bool(self._pending) or self._owed > 0 or self._library is not None

    def take_out(self) -> list[bytes]:
        """Return what is to be sent, and forget it."""
        out, self._out = self._out, []
        return out

    def _room(self) -> int:
        """How many bytes the next frame may have, beside what is there of its message."""
        begun = self._library.current_size if self._library is not None else None
        return self._max_bytes - (begun or 0)

    def _is_ordinary(self, data: memoryview, position: int) -> bool:
        return data[position] == FINAL_BINARY and self._library is None

    def _keep(self, rest: memoryview, needed: int) -> None:
        self._pending += rest
        self._needed = needed

    def _hand_over(self, data: bytes, messages: list[bytes]) -> None:
        library = self._library
        if library is None:
            library = self._library = ServerProtocol(
                state=State.OPEN, max_size=self._max_bytes, logger=library_logger
            )
        library.receive_data(data)
        for event in library.events_received():
            if isinstance(event, Frame):
                self._take(library, event, messages)
        self._out += [written for written in library.data_to_send() if written]
        if library.state is not State.OPEN:
            self.ended = True
            self.broken = _broken(library)
        elif self._owed == 0 and library.current_size is None:
            self._library = None  # at a frame's border with no message begun it has nothing to remember

    def _take(self, library: ServerProtocol, frame: Frame, messages: list[bytes]) -> None:
        if frame.opcode is Opcode.TEXT:
            library.fail(CloseCode.UNSUPPORTED_DATA, "OpAMP messages are binary")
        elif frame.opcode in (Opcode.BINARY, Opcode.CONT):
            if frame.data:
                self._parts.append(bytes(frame.data))
            if frame.fin:
                messages.append(b"".join(self._parts))
                self._parts = []


def _broken(library: ServerProtocol) -> Broken | None:
    """Return what was wrong, None where the peer ended the connection itself."""
    sent, fault = library.close_sent, library.parser_exc
    if sent is None or (fault is None and library.close_rcvd is not None):
        return None
    code = CloseCode(sent.code)
    if isinstance(fault, PayloadTooBig):
        return Broken(code, sent.reason, fault.size, fault.max_size)
    return Broken(code, sent.reason)


def _header(data: memoryview, position: int, end: int, max_bytes: int) -> tuple[int, int]:
    """Return where a frame's payload starts, and its length.

    If the header is not whole: _INCOMPLETE, and how many bytes it needs. If the library refuses the frame by
    what is there of its header: _DOOMED.
    """
    available = end - position
    if available < _SMALL_HEADER:
        return _INCOMPLETE, _SMALL_HEADER
    second = data[position + 1]
    if not second & _MASKED or data[position] & 0x0F not in _OPCODES:
        return _DOOMED, 0
    length, size = second & 0x7F, _SMALL_HEADER
    if length >= _LENGTH_16:
        size += 2 if length == _LENGTH_16 else 8
        if available < size:
            return _INCOMPLETE, size
        length = int.from_bytes(data[position + _SMALL_HEADER : position + size], "big")
    if length > max_bytes:
        return _DOOMED, 0
    if available < size + _MASK_BYTES:
        return _INCOMPLETE, size + _MASK_BYTES
    return position + size + _MASK_BYTES, length


def binary_frame(payload: bytes) -> bytes:
    """Return a whole binary frame as a server sends it, unmasked."""
    length = len(payload)
    if length < _LENGTH_16:
        return bytes((FINAL_BINARY, length)) + payload
    if length < 1 << 16:
        return bytes((FINAL_BINARY, _LENGTH_16)) + length.to_bytes(2, "big") + payload
    return bytes((FINAL_BINARY, _LENGTH_64)) + length.to_bytes(8, "big") + payload


def close_frame(code: CloseCode, reason: str) -> bytes:
    """Return a close frame; a reason that is too long for one is cut (RFC 6455 5.5: 125 bytes in all)."""
    cut = reason.encode()[:123].decode(errors="ignore")
    return Frame(Opcode.CLOSE, Close(code, cut).serialize()).serialize(mask=False, extensions=[])
