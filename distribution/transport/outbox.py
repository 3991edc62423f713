"""Frames that are written at the end of a turn of the loop, all together.

To take in what some hundred agents say, and then to write to them, is a fifth cheaper than to do both for
each: whoever reads on the other side is woken once. Order is kept: whoever writes to a connection at once
MUST have `now` called first.
"""

import asyncio
import logging

logger = logging.getLogger(__name__)


class Outbox:
    """What waits for the end of the turn. Belongs to the event loop."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: list[tuple[asyncio.Transport, bytes]] = []

    def later(self, transport: asyncio.Transport, frame: bytes) -> None:
        """Write a frame at the end of this turn, unless its connection is closed before."""
        if not self.waiting:
            asyncio.get_running_loop().call_soon(self.now)
        self.waiting.append((transport, frame))

    def now(self) -> None:
        """Write what waits."""
        waiting, self.waiting = self.waiting, []
        for transport, frame in waiting:
            try:
                if not transport.is_closing():
                    transport.write(frame)
            except Exception:
                logger.exception("frame could not be written")
