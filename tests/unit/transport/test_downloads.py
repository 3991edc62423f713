"""The downloads' listener, driven as an ASGI application."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import pytest
from starlette.applications import Starlette

from distribution.transport import downloads
from distribution.transport.downloads import Part, UnsatisfiableError, downloads_app, part_of
from storage.errors import UnavailableError
from storage.objects import ObjectInfo
from tests.fakes.memory_store import MemoryStore

DIGEST = "a" * 64
TARGET = f"targets/acme/otelcol/1.0.0/linux-amd64/{DIGEST}.otelcol"
BODY = bytes(range(256)) * 20


@dataclass(frozen=True)
class Got:
    """A response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def get(app: Starlette, path: str, method: str = "GET", **headers: str) -> Got:
    """Send one request to the application."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()
        ],
        "server": ("127.0.0.1", 4321),
        "client": ("127.0.0.1", 9),
    }
    asyncio.run(app(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Got(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.create(TARGET, BODY)
    made.create("metadata/1.root.json", b'{"root":1}')
    made.create("metadata/timestamp.json", b'{"timestamp":1}')
    made.create("journal/head.json", b"{}")
    return made


@pytest.fixture
def app(store: MemoryStore) -> Starlette:
    return downloads_app(store)


def test_target_is_served_whole(app: Starlette) -> None:
    """Bytes, length, a strong tag, and leave to keep them for ever."""
    got = get(app, f"/{TARGET}")
    assert (got.status, got.body) == (200, BODY)
    assert got.headers["content-length"] == str(len(BODY))
    assert got.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert got.headers["accept-ranges"] == "bytes"
    assert got.headers["etag"].startswith('"')


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/metadata/1.root.json", "public, max-age=31536000, immutable"),
        ("/metadata/timestamp.json", "no-cache"),
    ],
)
def test_only_the_timestamp_is_asked_about_again(app: Starlette, path: str, kept: str) -> None:
    """Every other role's name stands for the same bytes for ever."""
    got = get(app, path)
    assert (got.status, got.headers["cache-control"]) == (200, kept)
    assert got.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", [f"/{TARGET}", "/metadata/1.root.json"])
def test_head_describes_without_a_body(app: Starlette, path: str) -> None:
    """HEAD has the headers of GET."""
    whole, head = get(app, path), get(app, path, "HEAD")
    assert (head.status, head.headers) == (200, whole.headers)
    assert head.body in (b"", whole.body)  # a server drops the body of a HEAD


@pytest.mark.parametrize("path", [f"/{TARGET}", "/metadata/1.root.json"])
def test_part_is_served(app: Starlette, path: str) -> None:
    """A range gets 206 with its place in the whole."""
    whole = get(app, path).body
    got = get(app, path, range="bytes=2-5")
    assert (got.status, got.body) == (206, whole[2:6])
    assert got.headers["content-range"] == f"bytes 2-5/{len(whole)}"
    assert got.headers["content-length"] == "4"


@pytest.mark.parametrize("path", [f"/{TARGET}", "/metadata/1.root.json"])
def test_range_behind_the_end_is_416(app: Starlette, path: str) -> None:
    """The answer says how long the object is."""
    size = len(get(app, path).body)
    got = get(app, path, range="bytes=99999-")
    assert (got.status, got.headers["content-range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize("path", [f"/{TARGET}", "/metadata/1.root.json"])
def test_known_tag_is_304(app: Starlette, path: str) -> None:
    """Who has these bytes gets no others."""
    tag = get(app, path).headers["etag"]
    got = get(app, path, if_none_match=f'"other", {tag}')
    assert (got.status, got.body, got.headers["etag"]) == (304, b"", tag)
    assert get(app, path, if_none_match='"other"').status == 200


def test_changed_object_is_resumed_from_the_beginning(app: Starlette) -> None:
    """`If-Range` with another tag means the whole, so two versions are never mixed."""
    tag = get(app, f"/{TARGET}").headers["etag"]
    assert get(app, f"/{TARGET}", range="bytes=5-", if_range=tag).status == 206
    assert get(app, f"/{TARGET}", range="bytes=5-", if_range='"other"').body == BODY


@pytest.mark.parametrize(
    "path",
    [
        "/metadata/2.root.json",
        "/targets/acme/otelcol/1.0.0/linux-amd64/other",
        "/targets/../journal/head.json",
        "/metadata/..",
        "/targets//etc/passwd",
        "/targets/a\x00b",
        "/journal/head.json",
        "/targets/",
    ],
)
def test_what_is_missing_or_nobodys_is_404(app: Starlette, path: str) -> None:
    """A name that is not there, leaves its folder, or is another folder's; and 404 is not kept."""
    got = get(app, path)
    assert got.status == 404
    if path.startswith(("/metadata/2", "/targets/acme")):
        assert got.headers["cache-control"] == "no-store"


def test_empty_target_is_served(store: MemoryStore, app: Starlette) -> None:
    """No bytes are bytes as well."""
    store.create("targets/empty", b"")
    got = get(app, "/targets/empty")
    assert (got.status, got.headers["content-length"], got.body) == (200, "0", b"")


def test_store_that_does_not_answer_is_503(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client comes again, and is told nothing of the store."""

    def unavailable(_key: str) -> ObjectInfo:
        raise UnavailableError("bucket s3://secret is gone")

    monkeypatch.setattr(store, "head", unavailable)
    got = get(downloads_app(store), f"/{TARGET}")
    assert (got.status, got.body) == (503, b"temporarily unavailable\n")
    assert got.headers["retry-after"] == "30"


def test_role_beyond_the_cap_is_not_read(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object among the metadata that is no role's size is refused."""
    monkeypatch.setattr(downloads, "METADATA_MAX_BYTES", 4)
    assert get(downloads_app(store), "/metadata/1.root.json").status == 413


def test_tag_that_fits_no_header_is_replaced(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a store calls its versions, the header is well-formed, and differs with them."""
    tags = iter(["dé\n1", "dé\n2"])
    monkeypatch.setattr(store, "head", lambda key: ObjectInfo(key, len(BODY), next(tags)))
    app = downloads_app(store)
    first, second = (get(app, f"/{TARGET}", "HEAD").headers["etag"] for _ in range(2))
    assert len(first) == 66
    assert first != second


TAG = '"t"'


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        (None, Part(0, 10, whole=True)),
        ("bytes=0-", Part(0, 10)),
        ("bytes=3-5", Part(3, 3)),
        ("bytes=3-99", Part(3, 7)),
        ("bytes=-4", Part(6, 4)),
        ("bytes=-99", Part(0, 10)),
        ("bytes=5-3", Part(0, 10, whole=True)),
        ("bytes=-", Part(0, 10, whole=True)),
        ("bytes=0-1,3-4", Part(0, 10, whole=True)),
        ("lines=0-1", Part(0, 10, whole=True)),
        ("bytes=a-b", Part(0, 10, whole=True)),
    ],
)
def test_ranges_are_read(wanted: str | None, part: Part) -> None:
    """One range of bytes is a part; anything else is the whole (RFC 9110 14.2)."""
    assert part_of(wanted, None, TAG, 10) == part


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_ranges_without_a_byte_are_refused(wanted: str) -> None:
    """A range that begins behind the end has nothing to serve."""
    with pytest.raises(UnsatisfiableError):
        part_of(wanted, None, TAG, 10)


def test_downloads_do_not_take_the_threads_that_operators_wait_for() -> None:
    """However many strangers wait for a slow store, other work of this process finds a thread at once."""
    go_on = threading.Event()

    class SlowStore(MemoryStore):
        def head(self, key: str) -> ObjectInfo:
            go_on.wait(10)
            return super().head(key)

    store = SlowStore()
    store.create(TARGET, BODY)
    app = downloads_app(store)

    async def request() -> None:
        scope = {"type": "http", "method": "HEAD", "path": f"/{TARGET}", "headers": [], "query_string": b""}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(_message: Any) -> None:
            pass

        await app(scope, receive, send)

    async def siege() -> None:
        waiting = [asyncio.create_task(request()) for _ in range(60)]
        await asyncio.sleep(0.1)
        try:
            async with asyncio.timeout(2):
                await anyio.to_thread.run_sync(len, "")
        finally:
            go_on.set()
            await asyncio.gather(*waiting)

    asyncio.run(siege())
