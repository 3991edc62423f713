"""Configurations over HTTP: write versions, have them judged, see them; who runs them is `assignments`.

Bodies of a version that carries a secret go in and do not come out: of such a version its shape is shown.
"""

import base64
import binascii
import http
from collections.abc import Iterable
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.configuration import ConfigObject
from distribution.domain.package import require_name
from distribution.domain.scope import FLEET, READ
from distribution.errors import InvalidError
from distribution.fleet import configurations as rows
from distribution.fleet.configurations import KnownVersion
from distribution.flows.configuration import versions
from distribution.flows.configuration.check import NAME_MAX_CHARS, OBJECTS_MAX
from distribution.flows.configuration.effective import safe
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import (
    Body,
    parse_body,
    read_bytes,
)
from storage.journal import JSON

_VERSIONS = "/configurations/{name}/versions"
_VERSION = _VERSIONS + "/{number}"
_DIGITS_MAX = 9

Name = Annotated[str, StringConstraints(max_length=NAME_MAX_CHARS)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Words = Annotated[str, StringConstraints(max_length=1024)]


class ObjectBody(Body):
    """One object: its text, or its bytes in base64."""

    key: Name = ""
    role: Name = ""
    content_type: Name = ""
    body: str | None = None
    body_base64: str | None = None


class VersionBody(Body):
    """A version, whole."""

    max_bytes: ClassVar[int] = 4 << 20
    is_shown: ClassVar[bool] = False

    objects: Annotated[list[ObjectBody], Field(max_length=OBJECTS_MAX)]
    secret: bool = False
    """Whether it carries a secret; then it can be assigned by labels alone."""


def configuration_routes(door: Door) -> list[Route]:
    """Return the routes of configurations."""
    return [
        door.route("GET", "/configurations", one_of(READ), _list),
        door.route("POST", _VERSIONS, one_of(FLEET), _create),
        door.route("GET", _VERSIONS, one_of(READ), _list),
        door.route("GET", _VERSION, one_of(READ), _show),
        door.route("POST", _VERSION + "/validate", one_of(FLEET), _validate),
    ]


async def _list(call: Call) -> Response:
    name = call.request.path_params.get("name")

    def read() -> tuple[KnownVersion, ...]:
        with call.services.database.read() as connection:
            if name is not None:
                rows.known(connection, name)
            return rows.every(connection, name)

    return answer({"versions": [_version(one) for one in await call.run(read)]})


async def _create(call: Call) -> Response:
    services = call.services
    name = require_name(call.request.path_params["name"])
    raw = await read_bytes(call.request, min(VersionBody.max_bytes, services.limits.body_max_bytes))
    now = services.clock()

    def create() -> versions.Created:
        body = parse_body(raw, VersionBody)
        objects = _objects(name, body.objects)
        return versions.create(
            services.configurations, name, objects, secret=body.secret, actor=call.actor, now=now
        )

    made = await call.run(create)
    status = http.HTTPStatus.OK if made.existed else http.HTTPStatus.CREATED
    return answer({**_version(made.version), "existed": made.existed}, status)


async def _show(call: Call) -> Response:
    services, name, number = call.services, call.request.path_params["name"], _number(call.request)

    def read() -> dict[str, JSON]:
        with services.database.read() as connection:
            known = rows.known(connection, name, number)
            version = rows.read(connection, name, number, services.seal)
        return {**_version(known), "objects": shown(version.objects.items(), secret=version.secret)}

    return answer(await call.run(read))


async def _validate(call: Call) -> Response:
    services = call.services
    judged = await call.run(
        versions.judge,
        services.configurations,
        call.request.path_params["name"],
        _number(call.request),
        actor=call.actor,
        now=services.clock(),
    )
    return answer(_version(judged))


def shown(objects: Iterable[tuple[str, ConfigObject]], *, secret: bool) -> list[JSON]:
    """Return objects as the API shows them; work for a thread, because texts are read for secrets."""
    return [
        {
            "key": key,
            "role": one.role,
            "content_type": one.content_type,
            "body": safe(one, carries_secret=True) if secret else one.body.decode("utf-8", "replace"),
        }
        for key, one in objects
    ]


def _objects(name: str, given: Iterable[ObjectBody]) -> dict[str, ConfigObject]:
    found: dict[str, ConfigObject] = {}
    for one in given:
        if one.key in found:
            raise InvalidError(f"configuration {name!r} has two objects of key {one.key!r}")
        if (one.body is None) is (one.body_base64 is None):
            raise InvalidError(f"object {one.key!r} has body and body_base64, or neither; expected one")
        found[one.key] = ConfigObject(_bytes(one), one.content_type, one.role)
    return found


def _bytes(one: ObjectBody) -> bytes:
    if one.body is not None:
        return one.body.encode()
    try:
        return base64.b64decode(one.body_base64 or "", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidError(f"object {one.key!r}: body_base64 is not base64") from exc


def _number(request: Request) -> int:
    text = str(request.path_params["number"])
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise InvalidError(f"version {text[:40]!r} is not a number")
    return int(text)


def _version(known: KnownVersion) -> dict[str, JSON]:
    return {
        "name": known.name,
        "version": known.number,
        "digest": known.digest,
        "secret": known.secret,
        "variables": list(known.variables),
        "valid": known.judgement.valid,
        "validator": known.judgement.validator,
        "words": known.judgement.words,
        "created_at": moment(known.created_at),
        "created_by": known.created_by,
    }
