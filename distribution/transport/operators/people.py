"""Operators' tokens over HTTP, and who the caller is."""

import http
from datetime import timedelta

from pydantic import Field
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.scope import READ, SECURITY, Scope
from distribution.fleet.operators import Operator
from distribution.flows import operators
from distribution.transport.operators.access import Call, Door, anybody, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import Body, read_body
from storage.journal import JSON

_PATH = "/operators"


class NewOperatorBody(Body):
    """A new token's name, scopes and life."""

    name: str
    scopes: list[str] = Field(min_length=1, max_length=32)
    lifetime_seconds: int = Field(ge=1, le=int(operators.LIFE_MAX.total_seconds()))


def people_routes(door: Door) -> list[Route]:
    """Return the routes of operators and `whoami`."""
    return [
        door.route("GET", "/whoami", anybody, _whoami),
        door.route("POST", _PATH, one_of(SECURITY), _create),
        door.route("GET", _PATH, one_of(READ), _list),
        door.route("DELETE", _PATH + "/{name}", one_of(SECURITY), _revoke),
    ]


async def _whoami(call: Call) -> Response:
    return answer(_shown(call.operator))


async def _create(call: Call) -> Response:
    services = call.services
    body = await read_body(call.request, NewOperatorBody, services.limits.body_max_bytes)
    now = services.clock()
    made = await call.run(
        operators.create,
        services.database,
        name=body.name,
        scopes=[Scope.parse(text) for text in body.scopes],
        expires_at=now + timedelta(seconds=body.lifetime_seconds),
        secret=services.randomness.secret(),
        salt=services.randomness.salt(),
        actor=call.actor,
        now=now,
    )
    return answer({**_shown(made.operator), "token": made.token}, http.HTTPStatus.CREATED)


async def _list(call: Call) -> Response:
    found = await call.run(operators.every, call.services.database)
    return answer({"operators": [_shown(operator) for operator in found]})


async def _revoke(call: Call) -> Response:
    services = call.services
    name = call.request.path_params["name"]
    await call.run(operators.revoke, services.database, name, actor=call.actor, now=services.clock())
    return answer({"name": name, "revoked": True})


def _shown(operator: Operator) -> dict[str, JSON]:
    return {
        "name": operator.name,
        "scopes": sorted(str(scope) for scope in operator.scopes),
        "created_at": moment(operator.created_at),
        "created_by": operator.created_by,
        "expires_at": moment(operator.expires_at),
        "revoked_at": moment(operator.revoked_at),
    }
