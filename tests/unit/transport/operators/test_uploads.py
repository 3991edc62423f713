"""What pipelines bring: bytes under their digest, roles signed over them, publishers by offline keys."""

import asyncio
import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from distribution.catalog.delegation import guard_role
from distribution.domain.guard import guard_path
from distribution.errors import ConflictError
from keys.ceremony import delegate
from keys.metadata import Root, read
from tests.fakes.operators_api import Api, digest, in_parts, operators_api
from tests.fakes.publishing import request, role_bytes

V1 = "/api/v1"
PATH = "acme/otelcol/1.0.0/linux-amd64/otelcol"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


def submit(
    api: Api, body: bytes, role: str = "acme", publisher: str = "acme"
) -> tuple[int, dict[str, object]]:
    answer = api.call(
        "PUT", f"{V1}/publishers/{publisher}/roles/{role}", f"publish:{publisher}", content=body
    )
    return answer.status_code, answer.json()


def targets_in(api: Api) -> list[str]:
    return [found.key for found in api.services.store.list("targets/acme")]


def test_a_file_is_kept_under_our_own_digest(api: Api) -> None:
    """The answer is the digest that the server computed; the bytes wait for a signed role."""
    answer = api.upload(PATH, b"binary")
    own = "9a3a45d01531a20e89ac6ae10b0b0beb0492acd7216a368aa062d1a5fecaf9cd"
    assert answer.json() == {"path": PATH, "length": 6, "sha256": own}
    assert targets_in(api) == [f"targets/acme/otelcol/1.0.0/linux-amd64/{own}.otelcol"]
    assert api.upload(PATH, b"binary").status_code == 201


def test_a_large_file_comes_in_blocks(api: Api) -> None:
    """A body of many chunks without a length is taken as one file."""
    large = api.with_limits(upload_max_bytes=8 << 20)
    parts = [bytes([number]) * 300_000 for number in range(12)]
    answer = large.call(
        "PUT",
        f"{V1}/publishers/acme/files/{PATH}",
        "publish:acme",
        content=in_parts(*parts),
        headers=digest(b"".join(parts)),
    )
    assert (answer.status_code, answer.json()["length"]) == (201, 3_600_000)


def test_other_bytes_than_declared_are_refused_with_both_digests(api: Api) -> None:
    """Nothing is kept, and the journal says what was tried."""
    answer = api.call(
        "PUT", f"{V1}/publishers/acme/files/{PATH}", "publish:acme", content=b"binary", headers=digest(b"x")
    )
    status, code, message = api.error(answer)
    assert (status, code) == (422, "unverified")
    assert "9a3a45d01531a20e" in message
    assert "2d711642b726b044" in message
    assert targets_in(api) == []
    refused = api.journal()[-1]
    assert (refused.kind, refused.subject) == ("upload.refused", f"target:{PATH}")


@pytest.mark.parametrize("chunked", [True, False])
def test_a_file_over_the_limit_is_refused(api: Api, chunked: bool) -> None:  # noqa: FBT001 - both ways
    """By its stated length before a byte is read, or by its bytes where none is stated."""
    small = api.with_limits(upload_max_bytes=4)
    content = in_parts(b"bin", b"ary") if chunked else b"binary"
    answer = small.call(
        "PUT",
        f"{V1}/publishers/acme/files/{PATH}",
        "publish:acme",
        content=content,
        headers=digest(b"binary"),
    )
    assert api.error(answer)[:2] == (413, "oversized")
    assert targets_in(api) == []


@pytest.mark.parametrize("header", ["", "sha-256=9a3a", "sha-512=:AAAA:", "sha-256=:AAAA:", "sha-256=:====:"])
def test_a_file_without_a_digest_is_refused(api: Api, header: str) -> None:
    """Whoever brings bytes states what they are."""
    answer = api.call(
        "PUT",
        f"{V1}/publishers/acme/files/{PATH}",
        "publish:acme",
        content=b"x",
        headers={"Repr-Digest": header},
    )
    assert api.error(answer)[:2] == (400, "invalid")


def test_one_digest_of_several_is_found(api: Api) -> None:
    """RFC 9530 lets a sender state several."""
    header = {"Repr-Digest": f"sha-512=:AAAA:, {digest(b'x')['Repr-Digest']}"}
    answer = api.call(
        "PUT", f"{V1}/publishers/acme/files/{PATH}", "publish:acme", content=b"x", headers=header
    )
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("other/otelcol/1.0.0/linux-amd64/otelcol", (403, "forbidden")),
        ("guard/other/guard.json", (400, "invalid")),
        ("acme/otelcol/1.0.0/linux-amd64", (400, "invalid")),
        ("acme/otelcol/1.0.0/linux-amd64/a%00b", (400, "invalid")),
        ("acme/otelcol/v1.0.0/linux-amd64/otelcol", (400, "invalid")),
        ("acme/otelcol/1.0.0/linux-amd64/..%2Fx", (400, "invalid")),
    ],
)
def test_a_path_that_is_not_the_publishers_is_refused(api: Api, path: str, expected: tuple[int, str]) -> None:
    """Another publisher's path, another's guard, a strange spelling: nothing is kept."""
    before = [found.key for found in api.services.store.list("targets/")]
    answer = api.upload(path, b"x")
    assert api.error(answer)[:2] == expected
    assert [found.key for found in api.services.store.list("targets/")] == before


def test_a_signed_role_publishes(api: Api) -> None:
    """The release is in the catalogue, the fleet is woken, the journal announced and told it."""
    api.upload(PATH, b"binary")
    body = api.world.next_release_role("acme", {PATH: b"binary"})
    status, found = submit(api, body)
    assert (status, found["releases"]) == (200, ["acme/otelcol@1.0.0"])
    assert {"snapshot_version", "timestamp_version", "role"} < set(found)
    assert api.services.catalogues.current(api.work.clock()).versions("acme", "otelcol")
    assert api.connections.woken == [None]
    accepted, published = api.journal()[-2:]
    assert (accepted.kind, accepted.actor) == ("role.accepted", "operator:op0")
    assert (published.kind, published.subject) == ("release.published", "package:acme/otelcol@1.0.0")
    assert published.detail["intent"] == accepted.number


def test_the_same_role_again_changes_nothing(api: Api) -> None:
    """A pipeline that missed the answer asks again and gets it."""
    api.upload(PATH, b"binary")
    body = api.world.next_release_role("acme", {PATH: b"binary"})
    first, entries = submit(api, body), len(api.journal())
    again = submit(api, body)
    assert (again[0], again[1]["snapshot_version"]) == (200, first[1]["snapshot_version"])
    assert len(api.journal()) == entries


def test_a_role_over_bytes_that_are_not_here_is_refused(api: Api) -> None:
    """No release without its bytes."""
    status, found = submit(api, api.world.next_release_role("acme", {PATH: b"binary"}))
    assert (status, found["error"]["code"]) == (404, "unknown")  # type: ignore[index] # a JSON object
    assert "release.published" not in api.kinds()


def test_a_role_signed_by_somebody_else_is_refused_and_journalled(api: Api) -> None:
    """The server commits nothing that its publisher did not sign."""
    status, found = submit(api, role_bytes("acme", 2, [], key="mallory"))
    assert (status, found["error"]["code"]) == (422, "unverified")  # type: ignore[index] # a JSON object
    assert (api.journal()[-1].kind, api.journal()[-1].subject) == ("role.refused", "role:acme")


def test_a_race_is_lost_with_a_conflict(api: Api) -> None:
    """The second role of the same version is told which one is current."""
    api.upload(PATH, b"binary")
    body = api.world.next_release_role("acme", {PATH: b"binary"})
    api.world.release("acme", {"acme/otelcol/1.0.1/linux-amd64/otelcol": b"first"})
    status, found = submit(api, body)
    assert (status, found["error"]["code"]) == (409, "conflict")  # type: ignore[index] # a JSON object


@pytest.mark.parametrize("role", ["targets", "other", "other-guard", "snapshot"])
def test_a_role_of_somebody_else_is_refused(api: Api, role: str) -> None:
    """A publisher's token reaches its own two roles alone."""
    status, _ = submit(api, b"{}", role)
    assert status in {400, 403}


def test_a_role_over_its_limit_is_refused(api: Api) -> None:
    """TUF clients would refuse it too."""
    assert submit(api.with_limits(role_max_bytes=1024), b"x" * 2000)[0] == 413


def publisher_body(api: Api, name: str) -> dict[str, object]:
    asked = request(name, ("agent",), api.work.clock())
    world = api.world
    targets = delegate(
        world.repository.current().targets_bytes,
        asked.delegations(),
        world.targets_signers,
        root=read(Root, world.root).signed,
        now=world.now,
    )
    roles = {name: asked.release_role, guard_role(name): asked.guard_role}
    files = {guard_path(name): asked.guard_file}
    return {
        "targets": base64.b64encode(targets).decode(),
        "roles": {role: base64.b64encode(body).decode() for role, body in roles.items()},
        "files": {path: base64.b64encode(body).decode() for path, body in files.items()},
    }


def test_a_publisher_comes_with_its_delegation(api: Api) -> None:
    """Targets, first roles and guard file are committed as one; again it is no news."""
    body = publisher_body(api, "second")
    answer = api.call("PUT", f"{V1}/publishers", "security", json=body)
    assert (answer.status_code, answer.json()["publishers"]) == (201, ["second"])
    assert api.journal()[-1].kind == "publisher.added"
    assert api.journal()[-1].detail["packages"] == ["agent"]
    names = [one["name"] for one in api.call("GET", f"{V1}/publishers", "read").json()["publishers"]]
    assert names == ["acme", "second"]
    assert api.call("PUT", f"{V1}/publishers", "security", json=body).status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("targets", "!", (400, "invalid")),
        ("targets", base64.b64encode(b"{}").decode(), (422, "unverified")),
        ("roles", {}, (400, "invalid")),
        ("files", {}, (400, "invalid")),
    ],
)
def test_a_publisher_that_does_not_verify_is_refused(
    api: Api, field: str, value: object, expected: tuple[int, str]
) -> None:
    """No base64, no signatures, no first roles, no guard: nothing is committed."""
    body = {**publisher_body(api, "second"), field: value}
    answer = api.call("PUT", f"{V1}/publishers", "security", json=body)
    assert api.error(answer)[:2] == expected
    assert "publisher.added" not in api.kinds()


def test_waiting_publications_hold_no_threads(api: Api) -> None:
    """However many pipelines wait for their turn, a revocation finds a thread."""
    began, go = threading.Event(), threading.Event()

    def hold(*_args: object, **_kwargs: object) -> None:
        began.set()
        go.wait(30)
        raise ConflictError("held")

    api.services.commits.run = hold  # type: ignore[method-assign] # the one that holds the repository's turn
    asyncio.run(_crowd(api, began, go))


async def _crowd(api: Api, began: threading.Event, go: threading.Event) -> None:
    pipeline = {"Authorization": f"Bearer {api.token('publish:acme')}"}
    reader = {"Authorization": f"Bearer {api.token('read')}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=api.app), base_url="https://qm") as client:
        url = f"{V1}/publishers/acme/roles/acme"
        crowd = [asyncio.create_task(client.put(url, content=b"{}", headers=pipeline)) for _ in range(60)]
        try:
            await asyncio.to_thread(began.wait, 30)
            answer = await asyncio.wait_for(client.get(f"{V1}/agents", headers=reader), 10)
            assert answer.status_code == 200
            assert not any(task.done() for task in crowd)
        finally:
            go.set()
        assert {task.result().status_code for task in crowd if await task} == {409}
