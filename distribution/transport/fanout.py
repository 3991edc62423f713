"""Frames that many connections get, alike but for each agent's uid: rendered once, the uid put in.

One offer to everybody is decided once (`protocol.alike`); here it is also made bytes once.
"""

from uuid import UUID

from distribution.domain.terms import Terms
from distribution.protocol.offers import Reply, for_websocket
from distribution.transport.frames import binary_frame


class Fanout:
    """The last reply that was told to many. Belongs to the event loop."""

    __slots__ = ("_after", "_before", "_reply")

    def __init__(self) -> None:
        self._reply: Reply | None = None
        self._before = b""
        self._after = b""

    def frame(self, reply: Reply, uid: UUID, terms: Terms) -> bytes:
        """Return the frame that says `reply` to the agent `uid`, whosever uid is in it."""
        if reply is not self._reply:
            self._split(reply, terms)
        return self._before + uid.bytes + self._after

    def _split(self, reply: Reply, terms: Terms) -> None:
        payload = for_websocket(reply, terms)
        frame = binary_frame(payload)
        said = b"" if reply.uid is None else reply.uid.bytes
        start = frame.index(said, len(frame) - len(payload))
        self._reply = reply
        self._before, self._after = frame[:start], frame[start + len(said) :]
