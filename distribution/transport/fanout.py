"""Frames that many connections get, alike but for each agent's uid: rendered once, the uid put in.

One offer to everybody is decided once (`protocol.alike`); here it is also made bytes once. Agents of several
kinds come in any order, so the frames of several replies are at hand.
"""

from typing import Final
from uuid import UUID

from distribution.domain.terms import Terms
from distribution.protocol.offers import Reply, for_websocket
from distribution.transport.frames import binary_frame

KEPT_MAX: Final = 100
"""Replies that are kept as frames; beyond, all are rendered anew."""

KEPT_BYTES: Final = 65_536
"""How long their frames are at most; of longer ones only the last is at hand."""


class Fanout:
    """The replies that were told to many lately. Belongs to the event loop."""

    __slots__ = ("_after", "_before", "_kept", "_reply")

    def __init__(self) -> None:
        self._reply: Reply | None = None
        """The last one; what it is as a frame, before the uid and after it."""
        self._before = b""
        self._after = b""
        self._kept: dict[int, tuple[Reply, bytes, bytes]] = {}
        """By the reply's identity, which it has as long as it is kept."""

    def frame(self, reply: Reply, uid: UUID, terms: Terms) -> bytes:
        """Return the frame that says `reply` to the agent `uid`, whosever uid is in it."""
        if reply is not self._reply:
            self._turn_to(reply, terms)
        return self._before + uid.bytes + self._after

    def _turn_to(self, reply: Reply, terms: Terms) -> None:
        kept = self._kept.get(id(reply))
        if kept is None:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            kept = reply, *_split(reply, terms)
            if len(kept[1]) + len(kept[2]) <= KEPT_BYTES:
                self._kept[id(reply)] = kept
        self._reply, self._before, self._after = kept


def _split(reply: Reply, terms: Terms) -> tuple[bytes, bytes]:
    payload = for_websocket(reply, terms)
    frame = binary_frame(payload)
    said = b"" if reply.uid is None else reply.uid.bytes
    start = frame.index(said, len(frame) - len(payload))
    return frame[:start], frame[start + len(said) :]
