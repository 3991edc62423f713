"""Releases and publishers over HTTP: what verifies, who may publish, and a new publisher handed in."""

import base64
import binascii
import http
from typing import ClassVar

from starlette.responses import Response
from starlette.routing import Route

from distribution.catalog.catalogue import Catalogue
from distribution.domain.package import Release
from distribution.domain.scope import SECURITY
from distribution.errors import InvalidError
from distribution.flows import publishers
from distribution.transport.operators.access import Call, Door, anybody, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import Body, only, read_body
from storage.journal import JSON


class PublisherBody(Body):
    """A `targets` that the offline keys signed, first roles it delegates to, their guard files; base64."""

    max_bytes: ClassVar[int] = 1 << 28  # the setting decides

    targets: str
    roles: dict[str, str]
    files: dict[str, str]


def release_routes(door: Door) -> list[Route]:
    """Return the routes of releases and publishers."""
    return [
        door.route("GET", "/releases", anybody, _releases, asks=True),
        door.route("GET", "/publishers", anybody, _publishers),
        door.route("PUT", "/publishers", one_of(SECURITY), _add),
    ]


async def _releases(call: Call) -> Response:
    catalogue = call.services.catalogues.current(call.services.clock())
    only(call.request, "publisher", "package")
    query = call.request.query_params
    found = await call.run(_select, catalogue, query.get("publisher"), query.get("package"))
    return answer({"releases": found, **_state(catalogue)})


async def _publishers(call: Call) -> Response:
    catalogue = call.services.catalogues.current(call.services.clock())
    found = [_publisher(catalogue, name) for name in catalogue.publishers]
    return answer({"publishers": found, **_state(catalogue)})


async def _add(call: Call) -> Response:
    services = call.services
    body = await read_body(call.request, PublisherBody, services.limits.body_max_bytes)
    added = await call.run_in_turn(
        publishers.add,
        services.commits,
        services.store,
        services.catalogues,
        services.connections,
        targets=_decoded("targets", body.targets),
        roles={role: _decoded(f"roles.{role}", text) for role, text in body.roles.items()},
        files={path: _decoded(f"files.{path}", text) for path, text in body.files.items()},
        actor=call.actor,
        now=services.clock(),
    )
    status = http.HTTPStatus.CREATED if added.publishers else http.HTTPStatus.OK
    return answer(
        {
            "publishers": [publisher.name for publisher in added.publishers],
            "snapshot_version": added.committed.snapshot_version,
            "timestamp_version": added.committed.timestamp_version,
        },
        status,
    )


def _decoded(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidError(f"{field} is not base64") from exc


def _select(catalogue: Catalogue, publisher: str | None, package: str | None) -> list[JSON]:
    return [
        _release(catalogue, release)
        for name in sorted(catalogue.shelves)
        for _, release in sorted(catalogue.shelves[name].releases.items())
        if publisher in (None, release.publisher) and package in (None, release.package)
    ]


def _state(catalogue: Catalogue) -> dict[str, JSON]:
    return {
        "snapshot_version": catalogue.snapshot_version,
        "verified_until": moment(catalogue.verified_until),
    }


def _release(catalogue: Catalogue, release: Release) -> JSON:
    floor = catalogue.floor(release.publisher, release.package)
    return {
        "publisher": release.publisher,
        "package": release.package,
        "version": str(release.version),
        "type": release.type.value,
        "below_floor": floor is not None and release.version < floor,
        "files": {
            platform: {
                "path": str(artifact.path),
                "length": artifact.length,
                "sha256": str(artifact.sha256),
            }
            for platform, artifact in sorted(release.artifacts.items())
        },
    }


def _publisher(catalogue: Catalogue, name: str) -> JSON:
    shelf = catalogue.shelves.get(name)
    if shelf is None:
        return {"name": name, "verified": False, "problem": catalogue.unverified[name]}
    floors = {package: str(version) for package, version in sorted(shelf.guard.floors.items())}
    return {
        "name": name,
        "verified": True,
        "packages": list(shelf.publisher.packages),
        "floors": floors,
        "releases": len(shelf.releases),
        "release_key": shelf.publisher.release_keyid,
        "guard_key": shelf.publisher.guard_keyid,
    }
