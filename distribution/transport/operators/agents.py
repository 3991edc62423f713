"""Agents over HTTP: find them, label them, revoke them, let them enroll anew."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.agent import AgentView, PackageReport
from distribution.domain.scope import FLEET, READ, SECURITY
from distribution.errors import InvalidError
from distribution.fleet.registry import Registry
from distribution.flows import deploy, revoke
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import Body, Labels, pairs, read_body, whole_number
from keys.certificate import Reason
from keys.errors import RefusedError
from keys.identity import AgentId
from storage.journal import JSON

PAGE_MAX = 1000
_ONE = "/agents/{uid}"


class LabelsBody(Body):
    """All labels an operator gives an agent; what is left out is taken away."""

    labels: Labels


class RevokeBody(Body):
    """Why, and whether the agent may ever enroll again."""

    reason: str = Reason.UNSPECIFIED.value
    ban: bool = False


class ResetBody(Body):
    """Whether even a ban is lifted."""

    lift_ban: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which agents a list is asked for."""

    labels: Mapping[str, str]
    attributes: Mapping[str, str]
    connected: bool | None
    after: str

    def matches(self, view: AgentView) -> bool:
        described = view.description
        told = {} if described is None else {**described.attributes, **described.identifying}
        return (
            str(view.uid) > self.after
            and self.connected in (None, view.connected)
            and _holds(view.labels, self.labels)
            and _holds(told, self.attributes)
        )


def agent_routes(door: Door) -> list[Route]:
    """Return the routes of agents."""
    return [
        door.route("GET", "/agents", one_of(READ), _list),
        door.route("GET", _ONE, one_of(READ), _show),
        door.route("PATCH", _ONE, one_of(FLEET), _label),
        door.route("POST", _ONE + "/revoke", one_of(SECURITY), _revoke),
        door.route("POST", _ONE + "/reset", one_of(SECURITY), _reset),
    ]


async def _list(call: Call) -> Response:
    request = call.request
    wanted = _Wanted(
        pairs(request, "label"),
        pairs(request, "attribute"),
        _truth(request, "connected"),
        request.query_params.get("after", ""),
    )
    limit = whole_number(request, "limit", default=100, highest=PAGE_MAX)
    found = await call.run(_select, call.services.registry, wanted, limit + 1)
    more = str(found[limit - 1].uid) if 0 < limit < len(found) else None
    return answer({"agents": [_shown(call, view) for view in found[:limit]], "next": more})


async def _show(call: Call) -> Response:
    agent = _agent(call.request)
    return answer(_shown(call, await call.run(call.services.registry.find, agent)))


async def _label(call: Call) -> Response:
    services = call.services
    agent = _agent(call.request)
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
    )
    return answer(_shown(call, await call.run(services.registry.find, agent)))


async def _revoke(call: Call) -> Response:
    services = call.services
    agent = _agent(call.request)
    body = await read_body(call.request, RevokeBody, services.limits.body_max_bytes)
    cut = await call.run(
        revoke.revoke,
        services.authority,
        services.connections,
        services.database,
        agent,
        _reason(body.reason),
        ban=body.ban,
        actor=call.actor,
        clock=services.clock,
        stopwatch=services.stopwatch,
    )
    return answer(_cut(cut))


async def _reset(call: Call) -> Response:
    services = call.services
    agent = _agent(call.request)
    body = await read_body(call.request, ResetBody, services.limits.body_max_bytes)
    cut = await call.run(
        revoke.reset,
        services.authority,
        services.connections,
        services.database,
        agent,
        lift_ban=body.lift_ban,
        actor=call.actor,
        clock=services.clock,
        stopwatch=services.stopwatch,
    )
    return answer(_cut(cut))


def _agent(request: Request) -> AgentId:
    try:
        return AgentId.parse(request.path_params["uid"])
    except RefusedError as exc:
        raise InvalidError(str(exc)) from exc


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError as exc:
        known = ", ".join(reason.value for reason in Reason)
        raise InvalidError(f"reason {text!r} is not one of {known}") from exc


def _truth(request: Request, name: str) -> bool | None:
    text = request.query_params.get(name)
    if text not in (None, "true", "false"):
        raise InvalidError(f"query parameter {name} {text[:40]!r} is neither true nor false")
    return None if text is None else text == "true"


def _select(registry: Registry, wanted: _Wanted, most: int) -> list[AgentView]:
    return list(itertools.islice(filter(wanted.matches, registry.every()), most))


def _holds(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(found.get(name) == value for name, value in wanted.items())


def _cut(cut: revoke.Cut) -> dict[str, JSON]:
    return {
        "agent": str(cut.agent),
        "serials": [str(serial) for serial in cut.serials],
        "connections_cut": cut.connections,
        "elapsed_ms": cut.elapsed_ms,
    }


def _shown(call: Call, view: AgentView) -> dict[str, JSON]:
    description, health, packages = view.description, view.health, view.packages
    return {
        "uid": str(view.uid),
        "labels": dict(view.labels),
        "platform": view.platform,
        "identifying": {} if description is None else dict(description.identifying),
        "attributes": {} if description is None else dict(description.attributes),
        "connected": view.connected,
        "last_seen": moment(view.last_seen),
        "health": None
        if health is None
        else {"healthy": health.healthy, "status": health.status, "error": health.error},
        "packages": [] if packages is None else _packages(packages.packages),
        "packages_error": "" if packages is None else packages.error,
        "problem": view.problem,
        "serials": _serials(call, view.uid),
    }


def _packages(reports: Iterable[PackageReport]) -> list[JSON]:
    return [
        {
            "name": report.name,
            "state": report.state.value,
            "version": report.version,
            "offered_version": report.offered_version,
            "error": report.error,
        }
        for report in reports
    ]


def _serials(call: Call, uid: UUID) -> list[JSON]:
    """Return what admits the agent now: its current serial, and a next one if there is one."""
    return [str(serial) for serial in call.services.admission.serials_of(AgentId(uid))]
