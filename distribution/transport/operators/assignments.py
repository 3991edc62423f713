"""Assignments of configurations over HTTP: who is to run which version, the steps of it, and back.

An assignment has steps that count up, so a change names the step it is based on (`at_step`).
"""

from typing import Annotated

from pydantic import Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.config_choice import PRIORITY_MAX, Assignment
from distribution.domain.package import require_name
from distribution.domain.scope import FLEET, READ
from distribution.errors import UnknownError
from distribution.fleet import config_assignments
from distribution.fleet import configurations as rows
from distribution.fleet.config_assignments import Step
from distribution.flows.configuration import versions
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import Body, Labels, only, read_body, whole_number
from storage.journal import JSON

STEP_MAX = 1_000_000_000

_ASSIGNMENTS = "/config-assignments"
_ASSIGNMENT = _ASSIGNMENTS + "/{name}"

Word = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Words = Annotated[str, StringConstraints(max_length=1024)]
AtStep = Annotated[int, Field(ge=0, le=STEP_MAX)] | None


class AssignmentBody(Body):
    """Which version the agents of a selector are to run."""

    configuration: str
    version: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """The newest by default."""
    priority: Annotated[int, Field(ge=0, le=PRIORITY_MAX)] = 0
    labels: Labels = Field(default_factory=dict)
    attributes: Annotated[dict[Word, Words], Field(max_length=64)] = Field(default_factory=dict)
    at_step: AtStep = None
    """The step that the caller saw as the one that counts, 0 for none: refused if it is another by now."""


class BackBody(Body):
    """What is gone back from."""

    at_step: AtStep = None
    """The step that the caller saw as the one that counts: refused if it is another by now."""


def assignment_routes(door: Door) -> list[Route]:
    """Return the routes of assignments."""
    return [
        door.route("GET", _ASSIGNMENTS, one_of(READ), _assignments),
        door.route("GET", _ASSIGNMENT, one_of(READ), _history),
        door.route("PUT", _ASSIGNMENT, one_of(FLEET), _assign),
        door.route("DELETE", _ASSIGNMENT, one_of(FLEET), _unassign, asks=True),
        door.route("POST", _ASSIGNMENT + "/back", one_of(FLEET), _back),
    ]


async def _assignments(call: Call) -> Response:
    def read() -> tuple[Step, ...]:
        with call.services.database.read() as connection:
            return config_assignments.counting(connection)

    return answer({"assignments": [_step(step) for step in await call.run(read)]})


async def _history(call: Call) -> Response:
    name = call.request.path_params["name"]

    def read() -> tuple[Step, ...]:
        with call.services.database.read() as connection:
            return config_assignments.history(connection, name)

    steps = await call.run(read)
    if not steps:
        raise UnknownError(f"configuration assignment {name!r} does not exist")
    return answer({"steps": [_step(step) for step in steps]})


async def _assign(call: Call) -> Response:
    services = call.services
    name = require_name(call.request.path_params["name"])
    body = await read_body(call.request, AssignmentBody, services.limits.body_max_bytes)
    now = services.clock()

    def assign() -> Step:
        number = body.version
        if number is None:
            with services.database.read() as connection:
                number = rows.known(connection, body.configuration).number
        wanted = Assignment(name, body.configuration, number, body.priority, body.labels, body.attributes)
        return versions.assign(
            services.configurations, wanted, actor=call.actor, now=now, at_step=body.at_step
        )

    return answer(_step(await call.run(assign)))


async def _unassign(call: Call) -> Response:
    services = call.services
    removed = await call.run(
        versions.unassign,
        services.configurations,
        call.request.path_params["name"],
        actor=call.actor,
        now=services.clock(),
        at_step=_at_step(call.request),
    )
    return answer(_assignment(removed))


async def _back(call: Call) -> Response:
    services = call.services
    body = await read_body(call.request, BackBody, services.limits.body_max_bytes)
    step = await call.run(
        versions.back,
        services.configurations,
        call.request.path_params["name"],
        actor=call.actor,
        now=services.clock(),
        at_step=body.at_step,
    )
    return answer(_step(step))


def _at_step(request: Request) -> int | None:
    only(request, "at_step")
    if "at_step" not in request.query_params:
        return None
    return whole_number(request, "at_step", default=0, highest=STEP_MAX)


def _step(step: Step) -> dict[str, JSON]:
    return {
        **_assignment(step.assignment),
        "step": step.number,
        "counts": step.counts,
        "updated_at": moment(step.at),
        "updated_by": step.by,
    }


def _assignment(one: Assignment) -> dict[str, JSON]:
    return {
        "name": one.name,
        "configuration": one.config,
        "version": one.number,
        "priority": one.priority,
        "labels": dict(one.labels),
        "attributes": dict(one.attributes),
    }
