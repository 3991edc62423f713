"""A blocking httpx transport onto an ASGI application in the same process, in place of a socket."""

import asyncio
from collections.abc import Iterator

import httpx
from starlette.types import ASGIApp


class AsgiBridge(httpx.BaseTransport):
    """Sends each request to the application that its host names."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app=app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._handle(request))

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        sent = httpx.Request(
            request.method, request.url, headers=request.headers, content=_joined(request.stream)
        )
        answer = await self._transport.handle_async_request(sent)
        return httpx.Response(
            answer.status_code, headers=answer.headers, content=await answer.aread(), request=request
        )


class Unreachable(httpx.BaseTransport):
    """A server that nobody answers for."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)


def _joined(parts: Iterator[bytes] | httpx.SyncByteStream) -> bytes:
    return b"".join(parts)
