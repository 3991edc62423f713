"""uvicorn's HTTP protocol with a bound on what it does not bound: the size of a head, and the time for it.

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

HEAD_SECONDS: Final = 20.0
"""From a connection, or a request's first byte, to the end of the request's head."""

HEAD_MAX_BYTES: Final = 65_536
"""Largest head of a request; a piece that holds a whole head may be larger."""

logger = logging.getLogger(__name__)


class BoundedHttpProtocol(HttpToolsProtocol):
    """Ends connections whose heads are too long, or too long in coming."""

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
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """The deadline is met."""
        self._idle_bytes = 0
        self._forget_deadline()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._idle_bytes = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._forget_deadline()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
