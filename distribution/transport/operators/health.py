"""Outside the door, for probes and scrapers: alive, ready, metrics; no agent or operator is named here."""

import http
import logging

import anyio
import anyio.to_thread
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from distribution.transport.operators.answers import answer
from distribution.transport.operators.services import Check, OperatorServices
from storage.journal import JSON

CHECK_SECONDS = 3.0
"""How long a readiness check may take."""

CHECK_THREADS = 8
"""Threads for them alone: those of requests may all be waiting for what is checked."""

logger = logging.getLogger(__name__)


def health_routes(services: OperatorServices) -> list[Route]:
    """Return `/healthz`, `/readyz` and `/metrics`."""
    threads = anyio.CapacityLimiter(CHECK_THREADS)

    async def healthz(_request: Request) -> Response:
        return answer({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        found: dict[str, JSON] = {}
        for check in services.checks:
            found[check.name] = "ok" if await _passes_soon(check, threads) else "failed"
        ready = "failed" not in found.values()
        status = http.HTTPStatus.OK if ready else http.HTTPStatus.SERVICE_UNAVAILABLE
        return answer({"status": "ready" if ready else "not ready", "checks": found}, status)

    async def metrics(_request: Request) -> Response:
        body = await anyio.to_thread.run_sync(generate_latest, services.metrics)
        return Response(body, media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


async def _passes_soon(check: Check, threads: anyio.CapacityLimiter) -> bool:
    """Whether a check passes; one that does not come to its end has failed, and is left to itself."""
    with anyio.move_on_after(CHECK_SECONDS):
        return await anyio.to_thread.run_sync(_passes, check, limiter=threads, abandon_on_cancel=True)
    logger.warning("readiness check does not end", extra={"check": check.name, "seconds": CHECK_SECONDS})
    return False


def _passes(check: Check) -> bool:
    try:
        check.run()
    except Exception:  # a probe is answered whatever broke
        logger.warning("readiness check failed", extra={"check": check.name}, exc_info=True)
        return False
    return True
