"""Enrollment tokens over HTTP. The secret is in one answer, the one to its making."""

import http
from datetime import timedelta

from pydantic import Field
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.scope import READ, SECURITY
from distribution.flows import tokens
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import Body, Labels, read_body
from keys.tokens import USES_MAX, TokenState
from storage.journal import JSON

_PATH = "/enrollment-tokens"


class NewTokenBody(Body):
    """What a new token gives, how often and how long."""

    labels: Labels = Field(default_factory=dict)
    uses: int = Field(default=1, ge=1, le=USES_MAX)
    lifetime_seconds: int = Field(ge=1, le=int(tokens.LIFE_MAX.total_seconds()))


def token_routes(door: Door) -> list[Route]:
    """Return the routes of enrollment tokens."""
    return [
        door.route("POST", _PATH, one_of(SECURITY), _create),
        door.route("GET", _PATH, one_of(READ), _list),
        door.route("DELETE", _PATH + "/{token_id}", one_of(SECURITY), _revoke),
    ]


async def _create(call: Call) -> Response:
    services = call.services
    body = await read_body(call.request, NewTokenBody, services.limits.body_max_bytes)
    now = services.clock()
    made = await call.run(
        tokens.create,
        services.database,
        services.known_tokens,
        token_id=services.randomness.token_id(),
        secret=services.randomness.secret(),
        salt=services.randomness.salt(),
        labels=body.labels,
        expires_at=now + timedelta(seconds=body.lifetime_seconds),
        uses=body.uses,
        actor=call.actor,
        now=now,
    )
    return answer({**_shown(made.state), "secret": made.secret}, http.HTTPStatus.CREATED)


async def _list(call: Call) -> Response:
    found = await call.run(tokens.every, call.services.database)
    return answer({"tokens": [_shown(state) for state in found]})


async def _revoke(call: Call) -> Response:
    services = call.services
    token_id = call.request.path_params["token_id"]
    state = await call.run(
        tokens.revoke,
        services.database,
        services.known_tokens,
        token_id,
        actor=call.actor,
        now=services.clock(),
    )
    return answer(_shown(state))


def _shown(state: TokenState) -> dict[str, JSON]:
    return {
        "token_id": state.token_id,
        "labels": dict(state.labels),
        "uses": state.uses,
        "used": state.used,
        "expires_at": moment(state.expires_at),
        "created_at": moment(state.created_at),
        "created_by": state.created_by,
        "revoked_at": moment(state.revoked_at),
    }
