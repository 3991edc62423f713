"""The sending half of an agent's WebSocket: what is said, to whom it takes too long to read, how it ends.

Rules: a peer that does not read is not heard, is pushed nothing, and is cut off after `UNREAD_SECONDS`, so
that what waits for it stays small; a connection that ends has said why, and its socket is gone soon, whatever
the peer does.
"""

import asyncio
import logging
from time import monotonic
from typing import Final
from uuid import UUID

from websockets.frames import CloseCode

from distribution.flows.talk import Talk
from distribution.protocol.offers import Refusal, Reply, for_websocket
from distribution.transport.arrivals import Ticket
from distribution.transport.closings import Closed
from distribution.transport.desk import Desk
from distribution.transport.frames import FrameReader, binary_frame, close_frame
from keys.identity import AgentId

ABORT_SECONDS: Final = 0.5
"""From the last words to the end of the socket, if the peer does not end it sooner."""

STOP_LINGER_SECONDS: Final = 2.0
"""The same when the server stops: an agent that is far away shall get its last answers."""

UNREAD_MAX_BYTES: Final = 65_536
"""What may wait for a peer that does not read, before it is not heard any more."""

UNREAD_SECONDS: Final = 30.0
"""How long it may not read then."""

logger = logging.getLogger(__name__)


class Sender(asyncio.BufferedProtocol):
    """Says things over a WebSocket that is open."""

    agent: AgentId | None
    _ticket: Ticket

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._transport: asyncio.Transport = None  # type: ignore[assignment] # set before anything else
        self._deaf = False
        self._ending: asyncio.TimerHandle | None = None
        self._blocked: asyncio.TimerHandle | None = None
        self._owes_wake = False
        self._bare = b""
        self._bare_of: UUID | None = None

    @property
    def transport(self) -> asyncio.BaseTransport:
        """The connection itself, for a stop that aborts what does not end."""
        return self._transport

    def get_buffer(self, sizehint: int) -> bytearray:
        """Lend the shared buffer; it is read before anybody else is lent it."""
        del sizehint
        return self._desk.scratch

    def eof_received(self) -> None:
        """The peer will send no more; nothing is left to say either."""

    def pause_writing(self) -> None:
        """A peer that does not read its answers is not heard until it does, and not waited for long."""
        self._transport.pause_reading()
        if self._blocked is None:
            self._blocked = asyncio.get_running_loop().call_later(UNREAD_SECONDS, self._too_slow)

    def resume_writing(self) -> None:
        """It reads again."""
        self._unblock()
        self._transport.resume_reading()
        if self._owes_wake:
            self._owes_wake = False
            self.wake()

    def _rest(self, seconds: float) -> None:
        """Do not hear the peer for a while."""
        self._transport.pause_reading()
        asyncio.get_running_loop().call_later(seconds, self._rested)

    def _rested(self) -> None:
        if not self._deaf and self._blocked is None:
            self._transport.resume_reading()

    def wake(self) -> None:
        """Push what changed."""
        raise NotImplementedError

    def _say(self, reply: Reply) -> None:
        if not reply.bare:
            self._write(binary_frame(for_websocket(reply, self._desk.terms)))
            return
        if self._bare_of is not reply.uid:
            self._bare = binary_frame(for_websocket(reply, self._desk.terms))
            self._bare_of = reply.uid
        self._write(self._bare)

    def _write(self, data: bytes) -> None:
        """Write at once, and before that what waits for the end of the turn."""
        if self._desk.outbox.waiting:
            self._desk.outbox.now()
        self._transport.write(data)

    def _ask_again(self, talk: Talk) -> None:
        """Ask for what the agent may have said, if that is due; where it never answers, go on without."""
        aftermath = self._desk.exchange.aftermath
        question = aftermath.ask_again(talk)
        if question is not None:
            self._push(question)
            if aftermath.asks_in_vain(talk):
                self.wake()

    def _push(self, reply: Reply) -> None:
        """Say what no message asked for, or asked for earlier."""
        self._say(reply)
        self._desk.log.sent("ws", self.agent, reply)

    def _say_of_others(self, reply: Reply) -> None:
        """Say what is for an agent behind this peer, if there still is a peer; `_bare` is the peer's own."""
        if not self._deaf:
            self._write(binary_frame(for_websocket(reply, self._desk.terms)))

    def _end(
        self, code: CloseCode, reason: str, refusal: Refusal | None = None, linger: float = ABORT_SECONDS
    ) -> None:
        """Say why, become deaf, close."""
        if self._deaf:
            return
        last = None if refusal is None else Reply(None, refusal)
        if last is not None:
            self._say(last)
        self._write(close_frame(code, reason))
        self._desk.log.ended("ws", self.agent, last, reason)
        self._deafen(linger)

    def _end_for(self, why: Closed, words: str) -> None:
        """End the connection for its peer's fault."""
        if not self._deaf:
            self._ended_for(why, words)
            self._end(CloseCode.POLICY_VIOLATION, words)

    def _broken(self, reader: FrameReader) -> None:
        """Note that the connection ends for its frames, if it does."""
        if reader.broken is not None:
            closings, origin = self._desk.load.closings, self._ticket.origin
            closings.broken(reader.broken, origin=origin, agent=self.agent, now=monotonic())

    def _ended_for(self, why: Closed, words: str) -> None:
        """Note that the connection is ended for its peer's fault; whoever calls it ends it."""
        closings, origin = self._desk.load.closings, self._ticket.origin
        closings.note(why, words, origin=origin, agent=self.agent, now=monotonic())

    def _deafen(self, linger: float = ABORT_SECONDS) -> None:
        self._deaf = True
        if self._ending is None:
            self._desk.outbox.now()
            self._transport.close()
            self._ending = asyncio.get_running_loop().call_later(linger, self._transport.abort)

    def _gone(self) -> None:
        """The socket is closed."""
        self._deaf = True
        self._unblock()
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    def _too_slow(self) -> None:
        logger.info(
            "agent reads too slowly", extra={"agent": str(self.agent), "most_seconds": UNREAD_SECONDS}
        )
        self._desk.load.closings.counts[Closed.READS_SLOWLY] += 1
        self._transport.abort()

    def _unblock(self) -> None:
        if self._blocked is not None:
            self._blocked.cancel()
            self._blocked = None
