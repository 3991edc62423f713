"""What pipelines bring: files under the digest they declare, and the roles they signed over them."""

import base64
import binascii
import http
import re
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.package import Digest
from distribution.domain.scope import Scope, publish
from distribution.errors import InvalidError, OversizedError
from distribution.flows import publish as publishing
from distribution.transport.operators.access import Call, Door
from distribution.transport.operators.answers import answer
from distribution.transport.operators.bodies import read_bytes
from distribution.transport.operators.streaming import Gate, with_body

_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):")  # RFC 9530 3, RFC 8941 3.3.5


def upload_routes(door: Door, uploads: Gate) -> list[Route]:
    """Return the routes of pipelines; `uploads` bounds how many files come in at once."""

    async def put_file(call: Call) -> Response:
        with uploads:
            return await _put_file(call)

    return [
        door.route("PUT", "/publishers/{name}/files/{path:path}", _publisher_scope, put_file),
        door.route("PUT", "/publishers/{name}/roles/{role}", _publisher_scope, _put_role),
    ]


def _publisher_scope(request: Request) -> frozenset[Scope]:
    return publish(request.path_params["name"])


async def _put_file(call: Call) -> Response:
    services, request = call.services, call.request
    path = request.path_params["path"]
    declared = declared_digest(request)
    limit = services.limits.upload_max_bytes
    if (length := request.headers.get("content-length", "")).isdigit() and int(length[:20]) > limit:
        raise OversizedError(f"target {path!r} has {length} bytes, at most {limit} are taken")

    def take(blocks: Iterator[bytes]) -> tuple[Digest, int]:
        return publishing.receive(
            services.store,
            services.database,
            path,
            declared,
            blocks,
            publisher=request.path_params["name"],
            max_bytes=limit,
            actor=call.actor,
            now=services.clock(),
        )

    digest, taken = await with_body(request, take)
    return answer({"path": path, "length": taken, "sha256": str(digest)}, http.HTTPStatus.CREATED)


async def _put_role(call: Call) -> Response:
    services, request = call.services, call.request
    body = await read_bytes(request, services.limits.role_max_bytes)
    published = await call.run_in_turn(
        publishing.submit_role,
        services.commits,
        services.store,
        services.catalogues,
        services.connections,
        publisher=request.path_params["name"],
        role=request.path_params["role"],
        body=body,
        actor=call.actor,
        now=services.clock(),
    )
    return answer(
        {
            "role": published.role,
            "snapshot_version": published.committed.snapshot_version,
            "timestamp_version": published.committed.timestamp_version,
            "releases": list(published.releases),
        }
    )


def declared_digest(request: Request) -> Digest:
    """Return the digest that the sender states for the body. Raises InvalidError without a SHA-256."""
    header = request.headers.get("repr-digest", "")
    found = _DIGEST.search(header)
    if found is None:
        raise InvalidError(f"header Repr-Digest {header[:120]!r} holds no sha-256=:<base64>:")
    try:
        return Digest(base64.b64decode(found[1], validate=True))
    except (binascii.Error, ValueError) as exc:
        raise InvalidError(f"header Repr-Digest {header[:120]!r} is not base64") from exc
