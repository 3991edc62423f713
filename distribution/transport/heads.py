"""uvicorn's HTTP protocol with a bound on what it does not bound: heads, and slow readers.

The parser beneath keeps a head until it is whole, however long it is, and copies what it has of a value with
every piece that comes. So bytes are counted here: those since the last thing that got somewhere, which is a
whole head, a piece of a body, or the end of a message. That covers trailers and the extensions of chunks too.
"""

import asyncio
import logging
from typing import Any, Final

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from distribution.transport.arrivals import TICKET, Ticket

HEAD_SECONDS: Final = 20.0
"""From a connection, or a request's first byte, to the end of the request's head."""

HEAD_MAX_BYTES: Final = 65_536
"""Largest head of a request; a piece that holds a whole head may be larger."""

UNREAD_SECONDS: Final = 60.0
"""How long a peer may take to read what it was sent, a buffer full (at most a block of a file) at a time."""

ABORT_SECONDS: Final = 0.5
"""From closing to the end of the socket, if the peer does not answer."""

logger = logging.getLogger(__name__)


class BoundedHttpProtocol(HttpToolsProtocol):
    """Ends connections whose heads are too long, or too long in coming."""

    any_request_counts = True
    """Whether any request makes a connection worth its handshake."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: asyncio.TimerHandle | None = None
        self._idle_bytes = 0
        self._blocked: asyncio.TimerHandle | None = None
        self._last = False
        self._within = False
        self.ticket: Ticket = app_state.get(TICKET) or Ticket("")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """The first head is awaited."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes while they lead somewhere."""
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > HEAD_MAX_BYTES:
            logger.warning("head is too long", extra={"most": HEAD_MAX_BYTES})
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A request begins; its head has a deadline."""
        self._within = True
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """The deadline is met."""
        self._idle_bytes = 0
        self._forget_deadline()
        super().on_headers_complete()
        self.ticket.fruitful = self.ticket.fruitful or self.any_request_counts
        if self._last:
            self.begin_end()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._idle_bytes = 0
        self._within = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The peer does not read what it is sent, and has some time to."""
        super().pause_writing()
        if self._blocked is None:
            self._blocked = self.loop.call_later(UNREAD_SECONDS, self._too_slow)

    def resume_writing(self) -> None:
        """It has read nearly all of it."""
        super().resume_writing()
        self._forget_blocked()

    def begin_end(self) -> None:
        """The server stops: the next answer is the last one on this connection."""
        self._last = True
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close if nothing is to be answered, else after the answer; the peer need not agree."""
        self.begin_end()
        if not getattr(self.cycle, "response_complete", True):  # None before the first request
            return
        self.transport.close()
        self.loop.call_later(ABORT_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._forget_deadline()
        self._forget_blocked()
        super().connection_lost(exc)
        self.cycle = None  # type: ignore[assignment] # as before its first request; it refers to this back
        self.ticket.give_back()

    @property
    def at_border(self) -> bool:
        """Whether the next byte begins a request, and none is waiting for its answer."""
        return not self._within and bool(getattr(self.cycle, "response_complete", True))  # None at first

    def _expect_head(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _too_slow(self) -> None:
        logger.info("peer reads too slowly", extra={"most_seconds": UNREAD_SECONDS})
        self.transport.abort()

    def _forget_blocked(self) -> None:
        if self._blocked is not None:
            self._blocked.cancel()
            self._blocked = None

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
