"""Outside the door, for probes and scrapers: alive, ready, metrics; no agent or operator is named here."""

import http
import logging

import anyio.to_thread
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from distribution.transport.operators.answers import answer
from distribution.transport.operators.services import Check, OperatorServices
from storage.journal import JSON

logger = logging.getLogger(__name__)


def health_routes(services: OperatorServices) -> list[Route]:
    """Return `/healthz`, `/readyz` and `/metrics`."""

    async def healthz(_request: Request) -> Response:
        return answer({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        found: dict[str, JSON] = {}
        for check in services.checks:
            found[check.name] = "ok" if await anyio.to_thread.run_sync(_passes, check) else "failed"
        ready = "failed" not in found.values()
        status = http.HTTPStatus.OK if ready else http.HTTPStatus.SERVICE_UNAVAILABLE
        return answer({"status": "ready" if ready else "not ready", "checks": found}, status)

    async def metrics(_request: Request) -> Response:
        body = await anyio.to_thread.run_sync(generate_latest, services.metrics)
        return Response(body, media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def _passes(check: Check) -> bool:
    try:
        check.run()
    except Exception:  # a probe is answered whatever broke
        logger.warning("readiness check failed", extra={"check": check.name}, exc_info=True)
        return False
    return True
