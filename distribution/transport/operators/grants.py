"""What operators grant over HTTP: certificates for files, bearer tokens, gateways, requests that wait.

A bearer token's secret is in one answer, the one to its making.
"""

import http
from datetime import timedelta
from typing import Annotated

from pydantic import Field
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.scope import READ, SECURITY
from distribution.errors import InvalidError, UnknownError
from distribution.flows import grant
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import AtState, Body, Labels, agent_of, at_state, read_body
from keys.bearer import LIFE_MAX, BearerToken
from keys.certificate import BearerId, Passage
from keys.errors import RefusedError
from keys.gateways import Admits, Gateway
from keys.identity import AgentId
from keys.policy import CSR_MAX_BYTES
from storage.journal import JSON

_ONE = "/gateways/{uid}"
Uid = Annotated[str, Field(max_length=64)]


class CertifyBody(Body):
    """A request in PEM, and whose it is where it does not say so."""

    csr: str = Field(max_length=CSR_MAX_BYTES)
    uid: Uid | None = None
    labels: Labels = Field(default_factory=dict)


class NewBearerBody(Body):
    """For whom: an agent that is known, or a new one with these labels."""

    uid: Uid | None = None
    new: bool = False
    labels: Labels = Field(default_factory=dict)
    lifetime_seconds: int = Field(ge=1, le=int(LIFE_MAX.total_seconds()))


class GatewayBody(Body):
    """What the role says."""

    admits: str = Admits.LISTED.value
    labels: Labels = Field(default_factory=dict)
    at_state: AtState = None


class AdmitBody(Body):
    """Whom the gateway may speak for."""

    uid: Uid
    labels: Labels = Field(default_factory=dict)


class ApproveBody(Body):
    """Which key: the SHA-256 of its SubjectPublicKeyInfo, in hex."""

    key: str = Field(max_length=64)


def grant_routes(door: Door) -> list[Route]:
    """Return the routes of grants."""
    security = one_of(SECURITY)
    return [
        door.route("POST", "/certificates", security, _certify),
        door.route("GET", "/certificate-requests", one_of(READ), _requests),
        door.route("POST", "/certificate-requests/{uid}/approve", security, _approve),
        door.route("POST", "/bearer-tokens", security, _create_token),
        door.route("GET", "/agents/{uid}/bearer-tokens", one_of(READ), _tokens),
        door.route("DELETE", "/bearer-tokens/{token_id}", security, _revoke_token),
        door.route("GET", "/gateways", one_of(READ), _gateways),
        door.route("GET", _ONE, one_of(READ), _show_gateway),
        door.route("PUT", _ONE, security, _grant),
        door.route("DELETE", _ONE, security, _revoke_gateway, asks=True),
        door.route("POST", _ONE + "/agents", security, _admit),
    ]


async def _certify(call: Call) -> Response:
    services = call.services
    body = await read_body(call.request, CertifyBody, services.limits.body_max_bytes)
    issued = await call.run(
        grant.certify,
        services.granting,
        body.csr.encode("utf-8", "surrogatepass"),
        None if body.uid is None else _agent(body.uid),
        body.labels,
        actor=call.actor,
        now=services.clock(),
    )
    return answer(
        {
            "agent": str(issued.agent),
            "serial": str(issued.serial),
            "slot": issued.slot.value,
            "not_after": moment(issued.not_after),
            "chain_pem": issued.chain_pem.decode("ascii"),
        },
        http.HTTPStatus.CREATED,
    )


async def _requests(call: Call) -> Response:
    found = await call.run(call.services.granting.grants.requests)
    shown: list[JSON] = [
        {
            "agent": str(each.agent),
            "key": each.key,
            "asked_at": moment(each.asked_at),
            "approved_at": moment(each.approved_at),
        }
        for each in found
    ]
    return answer({"requests": shown})


async def _approve(call: Call) -> Response:
    services = call.services
    body = await read_body(call.request, ApproveBody, services.limits.body_max_bytes)
    found = await call.run(
        services.granting.grants.approve, agent_of(call.request), body.key, call.actor, services.clock()
    )
    return answer({"agent": str(found.agent), "key": found.key, "approved_at": moment(found.approved_at)})


async def _create_token(call: Call) -> Response:
    services = call.services
    body = await read_body(call.request, NewBearerBody, services.limits.body_max_bytes)
    if body.uid is None and not body.new:
        raise InvalidError("neither uid nor new is given: a bearer token is one agent's")
    now = services.clock()
    made = await call.run(
        grant.create_token,
        services.granting,
        services.randomness.uid() if body.uid is None else _agent(body.uid),
        token=BearerId(services.randomness.token_id()),
        secret=services.randomness.secret(),
        new=body.new,
        labels=body.labels,
        expires_at=now + timedelta(seconds=body.lifetime_seconds),
        actor=call.actor,
        now=now,
    )
    return answer({**_token(made.token), "bearer": made.presented}, http.HTTPStatus.CREATED)


async def _tokens(call: Call) -> Response:
    agent = agent_of(call.request)
    await call.run(call.services.registry.find, agent)
    found = await call.run(call.services.granting.grants.tokens_of, agent)
    return answer({"tokens": [_token(each) for each in found]})


async def _revoke_token(call: Call) -> Response:
    services = call.services
    token = _bearer(call.request.path_params["token_id"])
    ended, closed = await call.run(
        grant.revoke_token, services.granting, token, actor=call.actor, now=services.clock()
    )
    return answer({**_token(ended), "connections_cut": closed})


async def _gateways(call: Call) -> Response:
    found = await call.run(call.services.granting.grants.roles)
    return answer({"gateways": [_gateway(role, behind) for role, behind in found]})


async def _show_gateway(call: Call) -> Response:
    gateway = agent_of(call.request)
    for role, behind in await call.run(call.services.granting.grants.roles):
        if role.agent == gateway:
            return answer(_gateway(role, behind))
    raise UnknownError(f"agent {gateway} is no gateway")


async def _grant(call: Call) -> Response:
    services = call.services
    gateway = agent_of(call.request)
    body = await read_body(call.request, GatewayBody, services.limits.body_max_bytes)
    role = await call.run(
        grant.grant_gateway,
        services.granting,
        gateway,
        _admits(body.admits),
        body.labels,
        actor=call.actor,
        now=services.clock(),
        at_state=body.at_state,
    )
    return answer(_gateway(role, await call.run(services.granting.grants.behind, gateway)))


async def _revoke_gateway(call: Call) -> Response:
    services = call.services
    gateway = agent_of(call.request)
    gone = await call.run(
        grant.revoke_gateway,
        services.granting,
        gateway,
        actor=call.actor,
        now=services.clock(),
        at_state=at_state(call.request),
    )
    return answer({"gateway": str(gateway), "agents": [str(passage.agent) for passage in gone]})


async def _admit(call: Call) -> Response:
    services = call.services
    gateway = agent_of(call.request)
    body = await read_body(call.request, AdmitBody, services.limits.body_max_bytes)
    passage = await call.run(
        grant.admit,
        services.granting,
        gateway,
        _agent(body.uid),
        body.labels,
        actor=call.actor,
        now=services.clock(),
    )
    return answer({"gateway": str(passage.gateway), "agent": str(passage.agent)}, http.HTTPStatus.CREATED)


def _agent(text: str) -> AgentId:
    try:
        return AgentId.parse(text)
    except RefusedError as exc:
        raise InvalidError(str(exc)) from exc


def _bearer(text: str) -> BearerId:
    """Return the token of this name; what cannot be a name is nobody's."""
    try:
        return BearerId(text)
    except RefusedError as exc:
        raise UnknownError(f"bearer token {text[:80]!r} does not exist: {exc}") from exc


def _admits(text: str) -> Admits:
    try:
        return Admits(text)
    except ValueError as exc:
        known = ", ".join(each.value for each in Admits)
        raise InvalidError(f"admits {text[:40]!r} is not one of {known}") from exc


def _token(token: BearerToken) -> dict[str, JSON]:
    return {
        "token_id": str(token.id),
        "agent": str(token.agent),
        "created_at": moment(token.created_at),
        "created_by": token.created_by,
        "expires_at": moment(token.expires_at),
        "revoked_at": moment(token.revoked_at),
    }


def _gateway(role: Gateway, behind: list[Passage]) -> dict[str, JSON]:
    return {
        "gateway": str(role.agent),
        "admits": role.admits.value,
        "labels": dict(role.labels),
        "granted_at": moment(role.granted_at),
        "granted_by": role.granted_by,
        "state": grant.role_state(role),
        "agents": [str(passage.agent) for passage in behind],
    }
