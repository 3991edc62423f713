"""The OpenAPI document of the operators' API: made from the route table, the bodies' models and `about`.

Nothing in it is written by hand twice: paths and methods come from the routes, bodies and answers from
pydantic models, statuses from what a route takes. A route that `about` does not know is there with its path
alone; a test names it.
"""

import http
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import Response
from starlette.routing import Route

from distribution.transport.operators.about import ABOUT, About, Query
from distribution.transport.operators.access import Call, Door, anybody
from distribution.transport.operators.answers import answer
from distribution.transport.operators.shapes import ErrorAnswer

BASE: Final = "/api/v1"
VERSION: Final = "1"

_PARAMETER: Final = re.compile(r"\{([a-z_]+)(?::path)?\}")
_REF: Final = "#/components/schemas/{model}"
_PATHS: Final[Mapping[str, dict[str, Any]]] = {
    "uid": {"type": "string", "format": "uuid"},
}
_DEFAULT: Final[dict[str, Any]] = {"type": "string", "minLength": 1}

Document = dict[str, Any]


def openapi_route(door: Door, routes: Sequence[Route]) -> Route:
    """Return the route that answers with the document of these routes and of itself."""
    found: Document = {}

    async def show(_call: Call) -> Response:
        return answer(found)

    route = door.route("GET", "/openapi.json", anybody, show)
    found.update(document([*routes, route]))
    return route


def described(routes: Iterable[Route]) -> list[tuple[str, str]]:
    """Return method and path, without the common beginning, of every route of the API."""
    found = [
        (method, route.path.removeprefix(BASE))
        for route in routes
        if route.path.startswith(BASE + "/")
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]
    return sorted(found, key=lambda one: (one[1], one[0]))


def document(routes: Iterable[Route]) -> Document:
    """Return the document of these routes, as JSON values."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path in described(routes):
        place = paths.setdefault(_PARAMETER.sub(r"{\1}", path), {})
        place[method.lower()] = _operation(method, path, ABOUT.get((method, path)))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Quartermaster, operators' API", "version": VERSION},
        "servers": [{"url": BASE}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _operation(method: str, path: str, about: About | None) -> Document:
    parameters = [_in_path(name) for name in _PARAMETER.findall(path)]
    if about is None:
        return {"parameters": parameters, "responses": {"default": {"description": "not described"}}}
    operation: Document = {
        "summary": about.summary,
        "operationId": _operation_id(method, path),
        "parameters": [*parameters, *(_in_query(query) for query in about.query), *about.headers],
        "responses": {
            str(status): _answer(status, _ref(about.answers), lines=about.lines)
            for status in (about.status, *about.also)
        },
    }
    if about.body is not None:
        operation["requestBody"] = _content("application/json", _ref(about.body), required=about.required)
    if about.raw is not None:
        operation["requestBody"] = _content(about.raw, {}, required=True)
    for status in _refusals(method, path, about):
        operation["responses"][str(status.value)] = _answer(status, _ref(ErrorAnswer))
    return operation


def _refusals(method: str, path: str, about: About) -> Sequence[http.HTTPStatus]:
    """Return how a route can refuse: by what it takes, and by what it changes."""
    status = http.HTTPStatus
    found = [status.UNAUTHORIZED, status.SERVICE_UNAVAILABLE, status.BAD_REQUEST]
    takes = about.body is not None or about.raw is not None
    if not about.anybody:
        found.append(status.FORBIDDEN)
    if "{" in path:
        found.append(status.NOT_FOUND)
    if takes:
        found.append(status.REQUEST_ENTITY_TOO_LARGE)
    if method != "GET":
        found += [status.CONFLICT, status.UNPROCESSABLE_ENTITY]
    return found


def _in_path(name: str) -> Document:
    return {"name": name, "in": "path", "required": True, "schema": _PATHS.get(name, _DEFAULT)}


def _in_query(query: Query) -> Document:
    schema = {"type": "array", "items": query.schema} if query.repeated else query.schema
    return {"name": query.name, "in": "query", "description": query.about, "schema": schema}


def _answer(status: int, schema: Document, *, lines: bool = False) -> Document:
    said = http.HTTPStatus(status).phrase
    media = "application/x-ndjson" if lines else "application/json"
    return {"description": said, "content": {media: {"schema": schema}}}


def _content(media: str, schema: Document, *, required: bool) -> Document:
    return {"required": required, "content": {media: {"schema": schema}}}


def _operation_id(method: str, path: str) -> str:
    words = re.findall(r"[a-z]+", _PARAMETER.sub(r"by-\1", path))
    return "-".join((method.lower(), *words))


def _ref(model: type[BaseModel]) -> Document:
    return {"$ref": _REF.format(model=model.__name__)}


def _schemas() -> Document:
    bodies = {about.body for about in ABOUT.values() if about.body is not None}
    answers = {about.answers for about in ABOUT.values()} | {ErrorAnswer}
    wanted = sorted((*bodies, *answers), key=lambda model: model.__name__)
    _, found = models_json_schema([(model, "validation") for model in wanted], ref_template=_REF)
    schemas: Document = found["$defs"]
    return schemas
