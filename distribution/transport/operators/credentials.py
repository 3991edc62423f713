"""What an operator does to an agent's credentials over HTTP: revoke them, or let it enroll anew."""

from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.scope import SECURITY
from distribution.errors import InvalidError
from distribution.flows import revoke
from distribution.flows.reset import reset
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.answers import answer
from distribution.transport.operators.bodies import Body, agent_of, read_body
from keys.certificate import Reason
from storage.journal import JSON

_ONE = "/agents/{uid}"


class RevokeBody(Body):
    """Why, and whether the agent may ever enroll again."""

    reason: str = Reason.UNSPECIFIED.value
    ban: bool = False


class ResetBody(Body):
    """Whether even a ban is lifted, and whether labels and values stay for whoever enrolls next."""

    lift_ban: bool = False
    leave_given_to_next_holder: bool = False


def credential_routes(door: Door) -> list[Route]:
    """Return the routes of agents' credentials."""
    return [
        door.route("POST", _ONE + "/revoke", one_of(SECURITY), _revoke),
        door.route("POST", _ONE + "/reset", one_of(SECURITY), _reset),
    ]


async def _revoke(call: Call) -> Response:
    services = call.services
    agent = agent_of(call.request)
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
    agent = agent_of(call.request)
    body = await read_body(call.request, ResetBody, services.limits.body_max_bytes)
    done = await call.run(
        reset,
        services.authority,
        services.connections,
        services.database,
        services.registry,
        agent,
        lift_ban=body.lift_ban,
        leave_given_to_next_holder=body.leave_given_to_next_holder,
        actor=call.actor,
        clock=services.clock,
        stopwatch=services.stopwatch,
    )
    labels, values, notes = (list[JSON](part) for part in (done.labels, done.values, done.notes))
    return answer({**_cut(done.cut), "labels": labels, "values": values, "notes": notes})


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError as exc:
        known = ", ".join(reason.value for reason in Reason)
        raise InvalidError(f"reason {text!r} is not one of {known}") from exc


def _cut(cut: revoke.Cut) -> dict[str, JSON]:
    return {
        "agent": str(cut.agent),
        "serials": [str(serial) for serial in cut.serials],
        "tokens": [str(token) for token in cut.tokens],
        "connections_cut": cut.connections,
        "elapsed_ms": cut.elapsed_ms,
        "banned": cut.banned,
    }
