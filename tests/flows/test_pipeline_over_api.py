"""A pipeline's story over the real API: its HTTP adapter here, the operators' application there."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from distribution.catalog.request import PublisherRequest
from distribution.domain.package import Digest, PackageType, TargetPath, Version
from distribution.errors import (
    ForbiddenError,
    InvalidError,
    OversizedError,
    PolicyError,
    UnauthenticatedError,
    UnverifiedError,
)
from distribution.pipeline.enlist import add_publisher
from distribution.pipeline.guard import set_floor
from distribution.pipeline.home import Home, create, open_home
from distribution.pipeline.publish import ReleaseFile, publish
from distribution.pipeline.server import HttpServer
from distribution.pipeline.signing import Tools
from keys.custody import file_uri, write_private_key
from storage.errors import NotFoundError
from storage.objects import ObjectStore
from tests.fakes.asgi_bridge import AsgiBridge
from tests.fakes.operators_api import Api, operators_api
from tests.fakes.publishing import signer


def downloads(store: ObjectStore) -> Starlette:
    """Return the store as plain files: what the pipeline reads is verified, so this may be anything."""

    async def read(request: Request) -> Response:
        try:
            return Response(store.read(request.path_params["key"], 5_000_000)[0])
        except NotFoundError:
            return Response(status_code=404)

    return Starlette(routes=[Route("/{key:path}", read)])


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


def connect(api: Api, scopes: str) -> HttpServer:
    """Return the adapter with its sockets replaced."""
    server = HttpServer(api.services.trust, api.token(scopes))
    server._operators = httpx.Client(
        transport=AsgiBridge(api.app), base_url="https://qm", headers=server._operators.headers
    )
    server._downloads = httpx.Client(transport=AsgiBridge(downloads(api.world.store)), base_url="https://qm")
    return server


def tools(api: Api, scopes: str) -> Tools:
    return Tools(connect(api, scopes), api.work.clock(), lambda _line: None, lambda _seconds: None)


@pytest.fixture
def home(api: Api, tmp_path: Path) -> Home:
    """A publisher that the offline keys delegated to, over the API."""
    folder = tmp_path / "pipeline"
    folder.mkdir()
    made = create(folder, "second", ["agent"], api.work.clock())
    uris = []
    for name in ("targets-1", "targets-2"):
        write_private_key(tmp_path / name, signer(name)._private_key)
        uris.append(file_uri(tmp_path / name))
    request = PublisherRequest.parse(made.request_file.read_bytes())
    memory = tmp_path / "metadata"
    added = add_publisher(request, uris, root=api.world.root, memory=memory, tools=tools(api, "security"))
    assert added.submitted is not None
    return open_home(folder)


def file(tmp_path: Path, body: bytes, version: str = "1.0.0") -> ReleaseFile:
    source = tmp_path / f"agent-{version}"
    source.write_bytes(body)
    path = TargetPath("second", "agent", Version.parse(version), "linux-amd64", "agent")
    return ReleaseFile(source, path, PackageType.TOP_LEVEL)


def test_a_release_and_a_floor_go_through(api: Api, home: Home, tmp_path: Path) -> None:
    """What the pipeline signed is in the server's catalogue, and the journal names who brought it."""
    own = tools(api, "publish:second")
    done = publish(home.release_seat(api.world.root), [file(tmp_path, b"x" * 900_000)], own)
    assert done.submitted is not None
    set_floor(home.guard_seat(api.world.root), "agent", Version.parse("0.9.0"), own)
    catalogue = api.services.catalogues.current(api.work.clock())
    assert [str(version) for version in catalogue.versions("second", "agent")] == ["1.0.0"]
    assert str(catalogue.floor("second", "agent")) == "0.9.0"
    kinds = [entry.kind for entry in api.journal() if entry.kind != "operator.created"]
    assert kinds == [
        "role.accepted",
        "publisher.added",
        "role.accepted",
        "release.published",
        "role.accepted",
        "guard.raised",
    ]


def test_a_race_is_signed_again(api: Api, home: Home, tmp_path: Path) -> None:
    """Two runs on one role: the second finds the first one's release and keeps it."""
    own = tools(api, "publish:second")
    seat = home.release_seat(api.world.root)
    publish(seat, [file(tmp_path, b"a", "1.0.0")], own)
    publish(seat, [file(tmp_path, b"b", "1.1.0")], own)
    catalogue = api.services.catalogues.current(api.work.clock())
    assert [str(version) for version in catalogue.versions("second", "agent")] == ["1.0.0", "1.1.0"]


def test_a_token_of_another_publisher_is_refused(api: Api, home: Home, tmp_path: Path) -> None:
    """The adapter raises what the server refused with."""
    with pytest.raises(ForbiddenError, match="holds publish:acme, this needs publish:second"):
        publish(home.release_seat(api.world.root), [file(tmp_path, b"a")], tools(api, "publish:acme"))


def test_refusals_keep_their_class_over_the_wire(api: Api) -> None:
    """What a pipeline decides by is the same error that the catalogue raised."""
    server = connect(api, "publish:acme")
    path = "acme/otelcol/1.0.0/linux-amd64/otelcol"
    with pytest.raises(UnverifiedError, match="declared was 0000"):
        server.upload(path, Digest(bytes(32)), 1, [b"x"])
    with pytest.raises(OversizedError):
        server.upload(path, Digest(bytes(32)), (1 << 20) + 1, [b"x" * ((1 << 20) + 1)])
    with pytest.raises(InvalidError):
        server.upload("acme/otelcol/1.0.0", Digest(bytes(32)), 1, [b"x"])
    with pytest.raises(UnverifiedError):
        server.submit_role("acme", "acme", b"{}")
    server._operators.headers["Authorization"] = "Bearer nobody.x"
    with pytest.raises(UnauthenticatedError):
        server.submit_role("acme", "acme", b"{}")


def test_a_floor_is_not_lowered_over_the_wire(api: Api, home: Home) -> None:
    """The pipeline refuses before the server is asked."""
    own, seat = tools(api, "publish:second"), home.guard_seat(api.world.root)
    set_floor(seat, "agent", Version.parse("2.0.0"), own)
    with pytest.raises(PolicyError):
        set_floor(seat, "agent", Version.parse("1.0.0"), own)
