"""Connection settings over HTTP: set them, see them without secrets, take them away; where an agent stands.

A value of a header goes in and never comes out: every answer has the names, and a word in place of a value.
"""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.agent import AgentView
from distribution.domain.attempts import attempt_of
from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connection_status import Truth, standing
from distribution.domain.connections import ConnectionSet, Destination
from distribution.domain.package import require_name
from distribution.domain.scope import FLEET, READ
from distribution.errors import DistributionError, InvalidError, UnknownError
from distribution.fleet.connections import SetSetting
from distribution.flows import connections
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import AtState, Body, Labels, agent_of, at_state, read_body
from distribution.transport.operators.words import shown_words
from storage.journal import JSON

_PATH = "/connections"
_ONE = _PATH + "/{name}"

Words = Annotated[str, StringConstraints(max_length=8192)]
Pairs = Annotated[dict[Words, Words], Field(default_factory=dict, max_length=64)]


class ConnectionBody(Body):
    """One named setting, whole: what is left out is not kept from before."""

    is_shown: ClassVar[bool] = False

    kind: Kind = Field(strict=False)
    selector: Labels = Field(default_factory=dict)
    endpoint: Words = ""
    off: bool = False
    headers: Pairs
    ca_pem: Annotated[str, StringConstraints(max_length=32_768)] = ""
    connection: Annotated[str, StringConstraints(max_length=200)] = ""
    settings: Pairs
    heartbeat_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None
    plain_text_is_meant: bool = False
    at_state: AtState = None


def connection_routes(door: Door) -> list[Route]:
    """Return the routes of connection settings."""
    return [
        door.route("GET", _PATH, one_of(READ), _list),
        door.route("GET", _ONE, one_of(READ), _show),
        door.route("PUT", _ONE, one_of(FLEET), _set),
        door.route("DELETE", _ONE, one_of(FLEET), _remove, asks=True),
        door.route("GET", "/agents/{uid}/connections", one_of(READ), _status),
    ]


async def _list(call: Call) -> Response:
    found = await call.run(connections.all_settings, call.services.database)
    return answer({"connections": [_shown(one) for one in found]})


async def _show(call: Call) -> Response:
    name = call.request.path_params["name"]
    for one in await call.run(connections.all_settings, call.services.database):
        if one.setting.name == name:
            return answer(_shown(one))
    raise UnknownError(f"connection setting {name!r} does not exist")


async def _set(call: Call) -> Response:
    services = call.services
    body = await read_body(call.request, ConnectionBody, services.limits.body_max_bytes)
    setting = _setting(require_name(call.request.path_params["name"]), body)
    now = services.clock()
    written = await call.run(
        connections.set_setting,
        services.database,
        services.connections,
        setting,
        seal=services.seal,
        actor=call.actor,
        now=now,
        at_state=body.at_state,
    )
    return answer({**_described(written.setting), "state": written.state})


async def _remove(call: Call) -> Response:
    services = call.services
    removed = await call.run(
        connections.remove_setting,
        services.database,
        services.connections,
        call.request.path_params["name"],
        actor=call.actor,
        now=services.clock(),
        at_state=at_state(call.request),
    )
    return answer(_described(removed.setting))


async def _status(call: Call) -> Response:
    agent = agent_of(call.request)
    found = await call.run(call.services.registry.find, agent)
    view = await call.run(shown_words, call.services, found)
    wanted: ConnectionSet | None = None
    problem = ""
    try:
        wanted = call.services.connection_board.connections_for(view)
    except DistributionError as exc:
        problem = str(exc)
    services = call.services
    truth = await call.run(connections.credential_of, services.database, view, services.clock())
    return answer(_stands(view, wanted, problem, truth))


def _setting(name: str, body: ConnectionBody) -> Setting:
    nowhere = body.off or body.kind is Kind.OPAMP
    parts = {
        "endpoint": body.endpoint,
        "headers": body.headers,
        "ca_pem": body.ca_pem,
        "settings": body.settings,
    }
    if nowhere and (given := [part for part, value in parts.items() if value]):
        why = (
            "kind opamp is this server's own"
            if body.kind is Kind.OPAMP
            else f"{body.kind.value} is to be off"
        )
        raise InvalidError(f"connection setting {name!r}: {', '.join(given)} without a destination, as {why}")
    if not nowhere and not body.endpoint:
        raise InvalidError(f"connection setting {name!r}: endpoint is missing; off says that none is meant")
    target = Destination(body.endpoint, body.headers, body.ca_pem, body.settings, body.plain_text_is_meant)
    return Setting(
        name,
        body.kind,
        body.selector,
        None if nowhere else target,
        body.connection,
        body.heartbeat_seconds,
    )


def _stands(view: AgentView, wanted: ConnectionSet | None, problem: str, truth: Truth) -> dict[str, JSON]:
    stands = standing(wanted, view.connections, view.capabilities)
    said = view.connections
    return {
        "agent": str(view.uid),
        "settings": "" if wanted is None else wanted.origin,
        "digest": "" if wanted is None else wanted.digest.hex(),
        "phase": stands.phase.value,
        "attempt": stands.attempt,
        "error": stands.error,
        "note": stands.note,
        "problem": problem,
        "left_out": "" if wanted is None else wanted.left_out,
        "said": None
        if said is None
        else {
            "state": said.state.value,
            "hash": said.hash.hex(),
            "attempt": attempt_of(said.hash),
            "error": said.error,
        },
        "credential": {"proven": truth.proven, "words": truth.words},
    }


def _shown(one: SetSetting) -> dict[str, JSON]:
    return {
        **_described(one.setting),
        "state": one.state,
        "updated_at": moment(one.updated_at),
        "updated_by": one.updated_by,
    }


def _described(setting: Setting) -> dict[str, JSON]:
    target = setting.destination or Destination("")
    return {
        "name": setting.name,
        "kind": setting.kind.value,
        "selector": dict(setting.selector),
        "endpoint": target.endpoint,
        "off": setting.destination is None and setting.kind is not Kind.OPAMP,
        "headers": sorted(target.headers),
        "ca_pem": target.ca_pem,
        "connection": setting.connection,
        "settings": sorted(target.settings),
        "heartbeat_seconds": setting.heartbeat_seconds,
        "plain_text_is_meant": target.plain_text_is_meant,
    }
