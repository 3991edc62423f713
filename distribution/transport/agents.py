"""The agents' listener: one port and one path for OpAMP over WebSocket and over plain HTTP.

uvicorn is the shell: TLS, HTTP/1.1, the upgrade. POSTs go to the one Starlette route; upgrades go to
`transport.websocket`, with no ASGI in between.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from distribution.domain.terms import Terms
from distribution.flows.exchange import Exchange
from distribution.flows.watch import Watches
from distribution.protocol.wire import MAX_MESSAGE_BYTES
from distribution.transport.desk import Desk
from distribution.transport.exchange_log import ExchangeLog
from distribution.transport.front import Front
from distribution.transport.hub import Hub
from distribution.transport.load import Load
from distribution.transport.peer import PeerHttpProtocol
from distribution.transport.polling import Polling
from distribution.transport.websocket import AgentSocket
from distribution.transport.worker import Worker

KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle HTTP connection is kept: more than two polls apart."""

STOP_SECONDS: Final = 5
"""How long open exchanges may take when the server stops."""


def agents_server(
    *,
    exchange: Exchange,
    hub: Hub,
    terms: Terms,
    trust_domain: str,
    tls: ssl.SSLContext,
    host: str,
    port: int,
    path: str = "/v1/opamp",
    max_bytes: int = MAX_MESSAGE_BYTES,
    load: Load,
    watches: Watches | None = None,
) -> uvicorn.Config:
    """Return the configuration of the listener, for one `uvicorn.Server`.

    Args:
        exchange: takes the messages.
        hub: knows the connections; the same one that the exchange cuts and the flows wake.
        terms: public addresses, as agents are told them.
        trust_domain: of the agents' certificates.
        tls: from `transport.tls.agents_context`.
        host: address to bind.
        port: to bind; 0 takes a free one.
        path: of the endpoint.
        max_bytes: largest message of an admitted agent.
        load: decides about newcomers.
        watches: who is shown what agents and this server say to each other.
    """
    worker, reader = Worker(exchange.perform), Worker(exchange.perform, together=1)
    desk = Desk(exchange, worker, reader, hub, load, ExchangeLog(watches), terms, path, max_bytes)
    return uvicorn.Config(
        _app(desk),
        host=host,
        port=port,
        http=_fronted(desk, trust_domain),  # type: ignore[arg-type] # is called alone
        ws=partial(AgentSocket, desk=desk),  # type: ignore[arg-type] # is called alone
        ssl_context_factory=lambda _config, _default: tls,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def _fronted(desk: Desk, trust_domain: str) -> Callable[..., Front]:
    def make(**parts: Any) -> Front:
        http = PeerHttpProtocol(**parts, hub=desk.hub, trust_domain=trust_domain, path=desk.path)
        return Front(http, desk.scratch)

    return make


def _app(desk: Desk) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        desk.hub.start(loop)
        desk.worker.start(loop)
        desk.reader.start(loop)
        desk.log.start(loop)
        desk.load.start(loop, desk.worker.oldest)
        try:
            yield
        finally:
            # Not on the loop: what the worker still does may wait for the loop.
            await asyncio.to_thread(desk.worker.stop)
            # What was not looked at agents report again; looking at it might take minutes.
            await asyncio.to_thread(desk.reader.stop, drop=True)
            desk.load.stop()
            desk.log.stop()
            desk.hub.stop()

    async def get(_request: Request) -> Response:
        said = "OpAMP is spoken here: upgrade to a WebSocket, or POST a message\n"
        return PlainTextResponse(said, 426, headers={"Upgrade": "websocket", "Allow": "GET, POST"})

    return Starlette(
        routes=[
            Route(desk.path, Polling(desk).post, methods=["POST"]),
            Route(desk.path, get, methods=["GET"]),
        ],
        lifespan=lifespan,
    )
