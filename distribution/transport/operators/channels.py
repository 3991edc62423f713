"""Channels over HTTP: put one at a release, see them, take one away."""

from pydantic import Field
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.assignment import Channel
from distribution.domain.package import Version, require_name
from distribution.domain.scope import FLEET, READ
from distribution.errors import UnknownError
from distribution.fleet.channels import SetChannel, channel_state
from distribution.flows import deploy
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import AtState, Body, Labels, at_state, read_body
from storage.journal import JSON

_PATH = "/channels"
_ONE = _PATH + "/{name}"


class ChannelBody(Body):
    """Where a channel is to point, and who follows it."""

    publisher: str
    package: str
    version: str
    allow_downgrade: bool = False
    selector: Labels = Field(default_factory=dict)
    at_state: AtState = None


def channel_routes(door: Door) -> list[Route]:
    """Return the routes of channels."""
    return [
        door.route("GET", _PATH, one_of(READ), _list),
        door.route("GET", _ONE, one_of(READ), _show),
        door.route("PUT", _ONE, one_of(FLEET), _set),
        door.route("DELETE", _ONE, one_of(FLEET), _remove, asks=True),
    ]


async def _list(call: Call) -> Response:
    found = await call.run(deploy.all_channels, call.services.database)
    return answer({"channels": [_shown(one) for one in found]})


async def _show(call: Call) -> Response:
    name = call.request.path_params["name"]
    for one in await call.run(deploy.all_channels, call.services.database):
        if one.channel.name == name:
            return answer(_shown(one))
    raise UnknownError(f"channel {name!r} does not exist")


async def _set(call: Call) -> Response:
    services = call.services
    body = await read_body(call.request, ChannelBody, services.limits.body_max_bytes)
    channel = Channel(
        name=require_name(call.request.path_params["name"]),
        publisher=require_name(body.publisher),
        package=require_name(body.package),
        version=Version.parse(body.version),
        allow_downgrade=body.allow_downgrade,
        selector=body.selector,
    )
    now = services.clock()
    catalogue = services.catalogues.current(now)
    done = await call.run(
        deploy.set_channel,
        services.database,
        services.connections,
        channel,
        find=catalogue.find,
        floor=catalogue.floor,
        actor=call.actor,
        now=now,
        at_state=body.at_state,
    )
    told: dict[str, JSON] = {"state": channel_state(done.channel), "notes": list(done.notes)}
    return answer({**_described(done.channel), **told})


async def _remove(call: Call) -> Response:
    services = call.services
    removed = await call.run(
        deploy.remove_channel,
        services.database,
        services.connections,
        call.request.path_params["name"],
        actor=call.actor,
        now=services.clock(),
        at_state=at_state(call.request),
    )
    return answer(_described(removed))


def _shown(one: SetChannel) -> dict[str, JSON]:
    return {
        **_described(one.channel),
        "state": one.state,
        "updated_at": moment(one.updated_at),
        "updated_by": one.updated_by,
    }


def _described(channel: Channel) -> dict[str, JSON]:
    return {
        "name": channel.name,
        "publisher": channel.publisher,
        "package": channel.package,
        "version": str(channel.version),
        "allow_downgrade": channel.allow_downgrade,
        "selector": dict(channel.selector),
    }
