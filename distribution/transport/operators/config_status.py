"""Where agents stand with their configuration, over HTTP; what of it differs; and each agent's own values.

No secret is shown: effective configurations were made safe before they were kept, and lose here what was
declared secret since; differences are places; values that operators set come out by their names alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.agent import AgentView
from distribution.domain.config_standing import ConfigStanding, standing_of
from distribution.domain.configuration import RemoteConfig
from distribution.domain.scope import FLEET, READ
from distribution.errors import DistributionError
from distribution.fleet import documents, search
from distribution.fleet.config_assignments import SetValue
from distribution.fleet.documents import Document, Kind
from distribution.flows.configuration import values
from distribution.flows.configuration.board import ConfigBoard
from distribution.flows.configuration.effective import cleaned, differences, objects_in
from distribution.flows.configuration.values import Valued
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import AtState, Body, agent_of, read_body
from distribution.transport.operators.configurations import shown
from distribution.transport.operators.finding import page_of
from distribution.transport.operators.services import OperatorServices
from distribution.transport.operators.words import shown_words
from keys.identity import AgentId
from storage.journal import JSON

ValueName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")]
Value = Annotated[str, StringConstraints(max_length=1024)]


class ValuesBody(Body):
    """Values of one agent's variables; null takes one away, what is not named stays."""

    is_shown: ClassVar[bool] = False

    values: Annotated[dict[ValueName, Value | None], Field(max_length=values.VALUES_MAX)]
    at_state: AtState = None


def config_status_routes(door: Door) -> list[Route]:
    """Return the routes of agents' standing and of their values."""
    return [
        door.route("GET", "/config-status", one_of(READ), _list, asks=True),
        door.route("GET", "/agents/{uid}/configuration", one_of(READ), _show),
        door.route("PATCH", "/agents/{uid}/config-values", one_of(FLEET), _set_values),
    ]


async def _list(call: Call) -> Response:
    services = call.services
    wanted, after, limit = page_of(call.request)

    def read() -> dict[str, JSON]:
        found = search.page(services.database, wanted, after=after, limit=limit)
        known = (AgentId(uid) for uid in found.uids if services.registry.knows(AgentId(uid)))
        listed = [_in_short(services, services.registry.find(agent)) for agent in known]
        return {"agents": listed, "next": found.after}

    return answer(await call.run(read))


async def _show(call: Call) -> Response:
    return answer(await call.run(_in_full, call.services, agent_of(call.request)))


async def _set_values(call: Call) -> Response:
    services, agent = call.services, agent_of(call.request)
    body = await read_body(call.request, ValuesBody, services.limits.body_max_bytes)
    await call.run(services.registry.find, agent)
    found = await call.run(
        values.set_values,
        services.configurations,
        agent,
        body.values,
        actor=call.actor,
        now=services.clock(),
        at_state=body.at_state,
    )
    return answer({"uid": str(agent), **_values(found)})


def _in_short(services: OperatorServices, view: AgentView) -> dict[str, JSON]:
    view = shown_words(services, replace(view, health=None, packages=None, connections=None))
    intended, problem = _intended(services.config_board, view)
    return _stands(view, intended, standing_of(view, intended, problem))


def _in_full(services: OperatorServices, agent: AgentId) -> dict[str, JSON]:
    view = shown_words(services, services.registry.find(agent))
    intended, problem = _intended(services.config_board, view)
    with services.database.read() as connection:
        effective = documents.find(connection, agent, Kind.EFFECTIVE)
        held = values.valued(connection, agent)
        found = services.config_board.declared.known_of(connection, agent, intended)
    told = None
    if intended is not None:
        secret = services.config_board.is_secret(view)
        told = {"digest": intended.digest.hex(), "objects": shown(intended.objects.items(), secret=secret)}
    return {
        **_stands(view, intended, standing_of(view, intended, problem)),
        "intended": told,
        "effective": None if effective is None else _effective(cleaned(effective, found)),
        "differences": []
        if effective is None or intended is None
        else differences(objects_in(effective), intended),
        **_values(held),
    }


def _intended(board: ConfigBoard, view: AgentView) -> tuple[RemoteConfig | None, str]:
    try:
        return board.config_for(view), ""
    except DistributionError as exc:
        return None, str(exc)


def _stands(view: AgentView, intended: RemoteConfig | None, found: ConfigStanding) -> dict[str, JSON]:
    return {
        "uid": str(view.uid),
        "configuration": "" if intended is None else intended.origin,
        "standing": found.standing.value,
        "why": found.why,
        "connected": view.connected,
    }


def _effective(kept: Document) -> Mapping[str, JSON]:
    return {
        "digest": kept.digest,
        "reported_at": moment(kept.at),
        "objects": shown(objects_in(kept).items(), secret=False),
    }


def _values(held: Valued) -> dict[str, JSON]:
    return {"values": [_value(one) for one in held.names], "values_state": held.state}


def _value(one: SetValue) -> dict[str, JSON]:
    return {"name": one.name, "updated_at": moment(one.at), "updated_by": one.by}
