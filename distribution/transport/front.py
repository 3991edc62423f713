"""Receives for uvicorn's HTTP protocol into a buffer that all connections share.

uvloop makes a buffer of 256 KiB for each read of a TLS connection whose protocol brings none of its own; that
costs more than to answer a poll. This front brings one, and hands on what came. At an upgrade uvicorn gives
the transport another protocol, and the front is out of the way.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from distribution.transport.gone import let_go


class Front(asyncio.BufferedProtocol):
    """Stands before one connection's HTTP protocol."""

    def __init__(self, http: HttpToolsProtocol, scratch: bytearray) -> None:
        """`scratch` is read before anybody else is lent it."""
        self._http = http
        self._scratch = scratch

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As it is."""
        self._http.connection_made(transport)  # type: ignore[arg-type] # a stream's is a full one

    def get_buffer(self, sizehint: int) -> bytearray:
        """Lend the shared buffer."""
        del sizehint
        return self._scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on a copy of what came."""
        self._http.data_received(bytes(memoryview(self._scratch)[:nbytes]))

    def eof_received(self) -> None:
        """As it is."""
        self._http.eof_received()

    def pause_writing(self) -> None:
        """As it is."""
        self._http.pause_writing()

    def resume_writing(self) -> None:
        """As it is."""
        self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """As it is, and no more."""
        self._http.connection_lost(exc)
        let_go(self._http.transport)
