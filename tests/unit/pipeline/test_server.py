"""The HTTP adapter: what it sends, what it believes, and how every answer is told."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution import errors
from distribution.domain.package import Digest
from distribution.pipeline.ports import Submitted
from distribution.pipeline.server import HttpServer
from keys.trust import Trust
from tests.fakes.https_server import HttpsServer, https_server

PATH = "acme/otelcol/1.0.0+b1/linux-amd64/otelcol"
DONE = json.dumps({"snapshot_version": 3, "timestamp_version": 4}).encode()
BODY = b"hello"
DIGEST = Digest(hashlib.sha256(BODY).digest())


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with https_server(tmp_path_factory.mktemp("https")) as server:
        yield server


@pytest.fixture
def server(listening: HttpsServer) -> HttpsServer:
    listening.asked.clear()
    listening.headers.clear()
    return listening


@pytest.fixture
def client(server: HttpsServer) -> Iterator[HttpServer]:
    with HttpServer(server.trust, "secret-token") as made:
        yield made


def test_a_file_is_read_without_the_token(server: HttpsServer, client: HttpServer) -> None:
    """The downloads' listener needs none, so it gets none."""
    server.answer = lambda asked: (200, BODY)
    assert b"".join(client.fetch(f"targets/{PATH}")) == BODY
    [asked] = server.asked
    assert (asked.method, asked.path) == ("GET", f"/targets/{PATH.replace('+', '%2B')}")
    assert "authorization" not in {name.lower() for name in asked.headers}


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, errors.UnknownError), (500, errors.UnreachableError), (302, errors.UnreachableError)],
)
def test_what_cannot_be_read_is_told_apart(
    server: HttpsServer, client: HttpServer, status: int, error: type[Exception]
) -> None:
    """Missing is a fact; anything else, a redirect too, is trouble."""
    server.headers["Location"] = "https://127.0.0.1:1/"
    server.answer = lambda asked: (status, b"")
    with pytest.raises(error):
        client.fetch("metadata/timestamp.json")


def test_an_endless_file_is_cut(server: HttpsServer, client: HttpServer) -> None:
    """No answer is read beyond its cap."""
    server.answer = lambda asked: (200, bytes(5_000_001))
    with pytest.raises(errors.OversizedError, match="is larger than 5000000 bytes"):
        client.fetch("metadata/1.acme.json")


def test_bytes_go_up_with_their_digest(server: HttpsServer, client: HttpServer) -> None:
    """Streamed, with length and digest in headers, under the publisher's own path."""
    server.answer = lambda asked: (
        201,
        json.dumps({"sha256": hashlib.sha256(asked.body).hexdigest(), "length": len(asked.body)}).encode(),
    )
    assert client.upload(PATH, DIGEST, 5, iter([b"hel", b"lo"])) == DIGEST
    [asked] = server.asked
    assert asked.path == f"/api/v1/publishers/acme/files/{PATH.replace('+', '%2B')}"
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert headers["repr-digest"] == f"sha-256=:{base64.b64encode(DIGEST.raw).decode()}:"
    assert (headers["content-length"], headers["authorization"]) == ("5", "Bearer secret-token")
    assert "transfer-encoding" not in headers


def test_a_guard_goes_to_its_publisher(server: HttpsServer, client: HttpServer) -> None:
    """The guard's path names the publisher in its second segment."""
    server.answer = lambda asked: (201, json.dumps({"sha256": str(DIGEST)}).encode())
    client.upload("guard/acme/guard.json", DIGEST, 5, [BODY])
    assert server.asked[0].path == "/api/v1/publishers/acme/files/guard/acme/guard.json"


def test_a_role_is_handed_in_as_it_is(server: HttpsServer, client: HttpServer) -> None:
    """Its bytes are the body."""
    server.answer = lambda asked: (200, DONE)
    assert client.submit_role("acme", "acme-guard", b"{signed}") == Submitted(3, 4)
    [asked] = server.asked
    assert (asked.method, asked.path, asked.body) == (
        "PUT",
        "/api/v1/publishers/acme/roles/acme-guard",
        b"{signed}",
    )


def test_targets_are_handed_in_as_json(server: HttpsServer, client: HttpServer) -> None:
    """Everything that belongs to them in one body."""
    server.answer = lambda asked: (200, DONE)
    assert client.submit_targets(b"t", {"acme": b"r"}, {"guard/acme/guard.json": b"f"}) == Submitted(3, 4)
    [asked] = server.asked
    assert asked.path == "/api/v1/publishers"
    assert json.loads(asked.body) == {
        "targets": "dA==",
        "roles": {"acme": "cg=="},
        "files": {"guard/acme/guard.json": "Zg=="},
    }


def told(code: str, message: str = "why") -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((409, told("conflict")), errors.ConflictError, "why"),
        ((422, told("invalid")), errors.InvalidError, "why"),
        ((404, told("unknown")), errors.UnknownError, "why"),
        ((422, told("unverified")), errors.UnverifiedError, "why"),
        ((422, told("policy")), errors.PolicyError, "why"),
        ((413, told("oversized")), errors.OversizedError, "why"),
        ((403, told("forbidden")), errors.ForbiddenError, "why"),
        ((401, told("unauthenticated")), errors.UnauthenticatedError, "why"),
        ((503, told("busy")), errors.BusyError, "why"),
        ((503, told("unavailable")), errors.UnreachableError, "why"),
        ((500, b"<html>"), errors.UnreachableError, "was answered with 500"),
        ((400, b"<html>"), errors.CallerError, "was answered with 400"),
        ((418, told("teapot")), errors.CallerError, "why"),
        ((400, b'{"error":[]}'), errors.CallerError, "was answered with 400"),
    ],
)
def test_a_refusal_keeps_its_meaning(
    server: HttpsServer, client: HttpServer, answer: tuple[int, bytes], error: type[Exception], words: str
) -> None:
    """The code decides the class, the message is the server's."""
    server.answer = lambda asked: answer
    with pytest.raises(error, match=words) as caught:
        client.submit_role("acme", "acme", b"")
    assert type(caught.value) is error


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"snapshot_version":"3","timestamp_version":4}'])
def test_an_answer_of_another_shape_proves_nothing(
    server: HttpsServer, client: HttpServer, answer: bytes
) -> None:
    """It is not taken for a success."""
    server.answer = lambda asked: (200, answer)
    with pytest.raises(errors.UnreachableError):
        client.submit_role("acme", "acme", b"")


def test_a_connection_that_breaks_is_unreachable(server: HttpsServer, client: HttpServer) -> None:
    """Nobody knows what happened; the caller does it again. The address that did not answer is named."""
    server.answer = lambda asked: (0, b"")
    url = server.trust.operators_url
    with pytest.raises(
        errors.UnreachableError, match=f"API at {url}/api/v1/publishers/acme/roles/acme did not"
    ):
        client.submit_role("acme", "acme", b"")
    with pytest.raises(errors.UnreachableError, match=f"listener at {url}/metadata/timestamp.json did not"):
        client.fetch("metadata/timestamp.json")


def test_another_ca_is_refused(server: HttpsServer, tmp_path: Path) -> None:
    """Only the CA of the own trust file counts; no request reaches the server."""
    with https_server(tmp_path) as other:
        mixed = Trust.from_toml(
            other.trust.to_toml().replace(other.trust.operators_url, server.trust.operators_url)
        )
    with (
        HttpServer(mixed, "secret-token") as client,
        pytest.raises(errors.UnreachableError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.submit_role("acme", "acme", b"")
    assert server.asked == []


def test_an_address_that_cannot_be_reached_is_named(server: HttpsServer) -> None:
    """The pipeline's machine must reach it by this name; an error without it tells nobody what to mend."""
    url = "https://127.0.0.1:1"
    lost = Trust.from_toml(server.trust.to_toml().replace(server.trust.downloads_url, url))
    with (
        HttpServer(lost, "secret-token") as client,
        pytest.raises(errors.UnreachableError, match=f"at {url}/metadata/1.root.json did not answer"),
    ):
        client.fetch("metadata/1.root.json")


@pytest.mark.parametrize("token", ["", "ann.s3cret\nmore", "ann.s3cret\u00fc", "ann s3cret"])
def test_a_token_that_is_no_header_is_not_shown(server: HttpsServer, token: str) -> None:
    """The HTTP library's error would show it, and blame the server."""
    with pytest.raises(errors.InvalidError, match="is empty or has characters") as caught:
        HttpServer(server.trust, token)
    assert "s3cret" not in str(caught.value)
