"""Agents over HTTP: find and count them, see one and what it could run, label one, have one restart."""

import json

from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.agent import AgentView
from distribution.domain.scope import FLEET, READ
from distribution.fleet import documents, search
from distribution.fleet.documents import Kind
from distribution.fleet.index import Found
from distribution.flows import commands, deploy
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.agent_shown import in_full, in_short, with_barred, with_turns
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import AtState, Body, Labels, agent_of, read_body
from distribution.transport.operators.finding import filter_of, page_of
from distribution.transport.operators.services import OperatorServices
from distribution.transport.operators.words import listed_words, shown_words
from keys import ledger
from keys.certificate import kind_of
from keys.identity import AgentId
from storage.journal import JSON

_ONE = "/agents/{uid}"


class LabelsBody(Body):
    """All labels an operator gives an agent; what is left out is taken away."""

    labels: Labels
    at_state: AtState = None


def agent_routes(door: Door) -> list[Route]:
    """Return the routes of agents."""
    return [
        door.route("GET", "/agents", one_of(READ), _list, asks=True),
        door.route("GET", "/agents/count", one_of(READ), _count, asks=True),
        door.route("GET", _ONE, one_of(READ), _show),
        door.route("GET", _ONE + "/components", one_of(READ), _components),
        door.route("PATCH", _ONE, one_of(FLEET), _label),
        door.route("POST", _ONE + "/restart", one_of(FLEET), _restart),
    ]


async def _list(call: Call) -> Response:
    wanted, after, limit = page_of(call.request)
    found = await call.run(search.page, call.services.database, wanted, after=after, limit=limit)
    shown = await call.run(_listed, call.services, found)
    return answer({"agents": shown, "total": found.total, "next": found.after})


async def _count(call: Call) -> Response:
    found = await call.run(search.tally, call.services.database, filter_of(call.request))
    live: dict[str, JSON] = {state.value: count for state, count in found.live.items()}
    health: dict[str, JSON] = {state.value: count for state, count in found.health.items()}
    return answer({"total": found.total, "live": live, "health": health})


async def _show(call: Call) -> Response:
    agent = agent_of(call.request)
    return answer(await call.run(_described, call.services, agent))


async def _components(call: Call) -> Response:
    return answer(await call.run(_could_run, call.services, agent_of(call.request)))


async def _label(call: Call) -> Response:
    services = call.services
    agent = agent_of(call.request)
    body = await read_body(call.request, LabelsBody, services.limits.body_max_bytes)
    await call.run(
        deploy.label_agent,
        services.database,
        services.connections,
        services.registry,
        agent,
        body.labels,
        actor=call.actor,
        now=services.clock(),
        at_state=body.at_state,
    )
    return answer(await call.run(_described, services, agent))


async def _restart(call: Call) -> Response:
    services, now = call.services, call.services.clock()
    agent = agent_of(call.request)
    await call.run(
        commands.restart_agent,
        services.database,
        services.commands,
        services.connections,
        await call.run(services.registry.find, agent),
        actor=call.actor,
        now=now,
    )
    return answer({"agent": str(agent), "until": moment(now + commands.LIFETIME)})


def _listed(services: OperatorServices, found: Found) -> list[JSON]:
    registry = services.registry
    listed: list[JSON] = []
    for agent in (AgentId(uid) for uid in found.uids if registry.knows(AgentId(uid))):
        serials = services.admission.serials_of(agent)
        view = _problems(services, agent, listed_words(services, registry.find(agent)))
        listed.append(in_short(view, registry.live(agent), serials))
    return listed


def _problems(services: OperatorServices, agent: AgentId, view: AgentView) -> AgentView:
    """Return the view with what is wrong with the agent that it does not say itself."""
    view = with_turns(view, services.connections.turns(agent))
    return with_barred(view, services.admission.entries_of(agent), services.clock())


def _could_run(services: OperatorServices, agent: AgentId) -> dict[str, JSON]:
    """Return what the agent said last that it could run; nothing if it never listed that."""
    said = services.registry.find(agent).components
    with services.database.read() as connection:
        kept = documents.find(connection, agent, Kind.COMPONENTS)
    return {
        "uid": str(agent),
        "said_hash": None if said is None else said.hash.hex(),
        "hash": None if kept is None else kept.digest,
        "reported_at": None if kept is None else moment(kept.at),
        "components": None if kept is None else json.loads(kept.body),
    }


def _described(services: OperatorServices, agent: AgentId) -> dict[str, JSON]:
    registry = services.registry
    view = _problems(services, agent, shown_words(services, registry.find(agent)))
    held, role = services.admission.held_by(agent), services.admission.gateway(agent)
    shown = in_full(view, registry.live(agent), services.admission.serials_of(agent))
    given = registry.given(agent)
    with services.database.read() as connection:
        stands = ledger.enrollment_of(connection, agent)
    return {
        **shown,
        "standing": None if stands is None else stands.standing.value,
        "standing_since": None if stands is None else moment(stands.standing_since),
        "given_labels": dict(given),
        "labels_state": deploy.labels_state(given),
        "credentials": [f"{kind_of(each)}:{each}" for each in held],
        "gateway": None if role is None else role.admits.value,
    }
