"""A small coverage-guided fuzzer: inputs that reach a new line of ours are kept and altered further.

Why our own: the known ones for Python bring a compiled part that is not there for each Python we run on. This
one needs nothing but `sys.settrace`, and is quick enough for a million small inputs.
"""

import random
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any, Final

KEPT_MAX: Final = 2000
LENGTH_MAX: Final = 8192
_NUMBERS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x82, 0x16)
_PIECES: Final = (
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # the longest varint
    b"\x80" * 11,  # one that is too long
    b"\x00\x00\x00\x00\x00\x00\xf8\x7f",  # NaN
    b"\xc3\x28\xed\xa0\x80\xff",  # no UTF-8
    b"\r\n\r\n",
    b"\r\nTransfer-Encoding: chunked\r\n",
)


class Guided:
    """Keeps inputs and alters them. `rooms` are the beginnings of the file names whose lines count."""

    def __init__(self, seeds: Sequence[bytes], rooms: Sequence[str], chance: random.Random) -> None:
        self.kept = list(seeds)
        self.lines = 0
        self._chance = chance
        self._rooms = tuple(rooms)
        self._seen: set[tuple[CodeType, int]] = set()
        self._found = 0
        self._of_ours: dict[CodeType, bool] = {}

    def next(self) -> bytes:
        """Return an input: a kept one, altered a little."""
        chance = self._chance
        data = bytearray(chance.choice(self.kept))
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            self._alter(data)
        return bytes(data[:LENGTH_MAX])

    def run(self, data: bytes, act: Callable[[bytes], object]) -> None:
        """Have `act` take an input; keep it if it reached something new."""
        before, outer = len(self._seen), sys.gettrace()
        sys.settrace(self._enter)
        try:
            act(data)
        finally:
            sys.settrace(outer)
        if len(self._seen) > before:
            self.lines = len(self._seen)
            if len(self.kept) < KEPT_MAX:
                self.kept.append(data)
            else:
                self.kept[self._chance.randrange(KEPT_MAX)] = data

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        ours = self._of_ours.get(code)
        if ours is None:
            ours = self._of_ours[code] = any(room in code.co_filename for room in self._rooms)
        return self._line if ours else None

    def _line(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        self._seen.add((frame.f_code, frame.f_lineno))
        return self._line

    def _alter(self, data: bytearray) -> None:
        chance = self._chance
        at = chance.randrange(len(data) + 1)
        match chance.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[at % len(data)] = chance.choice(_NUMBERS)
            case 2:
                data[at:at] = chance.randbytes(chance.choice((1, 2, 4, 16)))
            case 3:
                del data[at : at + chance.choice((1, 2, 4, 64))]
            case 4:
                data[at:at] = data[at : at + chance.choice((2, 8, 64))] * chance.choice((1, 2, 8))
            case 5:
                data[at:at] = chance.choice(_PIECES)
            case _:
                other = chance.choice(self.kept)
                data[at:] = other[chance.randrange(len(other) + 1) :]
