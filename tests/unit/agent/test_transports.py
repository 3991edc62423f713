"""Covers distribution/agent/link.py, polling.py, fetcher.py: refusals, limits, no detours."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.agent.credentials import Credential
from distribution.agent.fetcher import Fetcher, server_context
from distribution.agent.link import Address, address, answered, same_place
from distribution.agent.polling import PollingLink
from distribution.agent.tuf_client import DownloadError, DownloadHTTPError, SlowRetrievalError
from distribution.agent.websocket import open_websocket
from distribution.errors import HostError, MalformedError, UnreachableError
from keys.errors import NotAdmittedError, TrustError
from tests.fakes.certificates import agent, small_ca
from tests.fakes.https_server import Asked, HttpsServer, https_server

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MESSAGE = opamp_pb2.AgentToServer(instance_uid=agent().raw)
REPLY = opamp_pb2.ServerToAgent(instance_uid=agent().raw)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with https_server(tmp_path_factory.mktemp("https")) as made:
        yield made


@pytest.fixture(autouse=True)
def forget(server: HttpsServer) -> None:
    server.headers.clear()
    server.asked.clear()


def where(server: HttpsServer, ca_pem: str | None = None) -> Address:
    return address(server.trust.agents_url, ca_pem or server.trust.ca_pem, None, {"X-Word": "w"})


def post(server: HttpsServer, ca_pem: str | None = None) -> opamp_pb2.ServerToAgent:
    """POST one message, and return the reply."""

    async def main() -> opamp_pb2.ServerToAgent:
        link = PollingLink(where(server, ca_pem), agent())
        await link.send(MESSAGE)
        try:
            return await link.receive()
        finally:
            await link.close()

    return asyncio.run(main())


def answering(server: HttpsServer, status: int, body: bytes = b"", **headers: str) -> None:
    server.answer = lambda _: (status, body)
    server.headers.update({name.replace("_", "-"): value for name, value in headers.items()})


def test_a_message_is_posted_and_its_reply_read(server: HttpsServer) -> None:
    """The headers say what and who it is."""
    answering(server, 200, REPLY.SerializeToString())
    assert post(server) == REPLY
    [asked] = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/v1/opamp", MESSAGE.SerializeToString())
    assert asked.headers["Content-Type"] == "application/x-protobuf"
    assert asked.headers["OpAMP-Instance-UID"] == str(agent())
    assert asked.headers["X-Word"] == "w"


def test_a_long_message_is_packed(server: HttpsServer) -> None:
    """Beyond a kilobyte a message goes out gzipped."""
    answering(server, 200)
    long = opamp_pb2.AgentToServer(instance_uid=agent().raw)
    long.health.last_error = "x" * 5000

    async def main() -> None:
        await PollingLink(where(server), agent()).send(long)

    asyncio.run(main())
    assert server.asked[0].headers["Content-Encoding"] == "gzip"
    assert len(server.asked[0].body) < 500


@pytest.mark.parametrize(
    ("status", "expected", "seconds"),
    [
        (401, NotAdmittedError, None),
        (403, NotAdmittedError, None),
        (503, UnreachableError, 7.0),
        (307, UnreachableError, 7.0),
    ],
)
def test_a_status_is_an_error_with_the_servers_words(
    server: HttpsServer, status: int, expected: type[Exception], seconds: float | None
) -> None:
    """Denied is not admitted; anything else is not reachable now, with the pause it asked for."""
    answering(server, status, b"agent a, serial 5", Retry_After="7", Location="https://evil.example/")
    with pytest.raises(expected, match=f"server answered {status}: agent a, serial 5") as raised:
        post(server)
    assert getattr(raised.value, "retry_after", None) == seconds
    assert len(server.asked) == 1


def test_a_reply_that_is_no_message_is_malformed(server: HttpsServer) -> None:
    """Garbage in a 200 is an error of the server's."""
    answering(server, 200, b"\xff\xff\xff")
    with pytest.raises(MalformedError):
        post(server)


def test_a_server_of_another_authority_is_not_spoken_to(server: HttpsServer) -> None:
    """Without the pinned CA behind it, no server gets a single byte of a message."""
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        post(server, small_ca(now=datetime.now(UTC)).root_pem)
    assert server.asked == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("30", 30.0),
        ("soon", None),
        ("999999", 3600.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Mon, 01 Jun 2026 00:01:00 -0000", 60.0),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str | None, seconds: float | None) -> None:
    """Seconds or a date, never longer than an hour; anything else says nothing."""
    error = answered(503, b"", text, NOW)
    assert isinstance(error, UnreachableError)
    assert error.retry_after == seconds


def test_addresses_differ_by_place_not_by_transport() -> None:
    """The schemes wss and https on one host, port and path are one place."""
    assert same_place("wss://a:4320/v1/opamp", "https://a:4320/v1/opamp")
    assert not same_place("wss://a:4320/v1/opamp", "wss://b:4320/v1/opamp")


def test_an_address_hides_its_headers_and_needs_its_files(server: HttpsServer, tmp_path: Path) -> None:
    """A token does not show in a log line; a credential whose files are gone is named."""
    assert "X-Word" not in repr(where(server))
    gone = Credential("n", tmp_path / "k", tmp_path / "c", "1", NOW, NOW, is_next=True)
    with pytest.raises(HostError, match="credential n cannot be loaded"):
        address(server.trust.agents_url, server.trust.ca_pem, gone, {})
    with pytest.raises(TrustError, match="holds no certificate"):
        server_context("nothing")


def test_nobody_answers(server: HttpsServer) -> None:
    """A port without a listener, and a server of another authority, are not reachable."""
    for url, ca_pem in (
        ("wss://127.0.0.1:1/v1/opamp", server.trust.ca_pem),
        (server.trust.agents_url, small_ca(now=datetime.now(UTC)).root_pem),
    ):
        with pytest.raises(UnreachableError, match="cannot connect to"):
            asyncio.run(open_websocket(address(url, ca_pem, None, {})))


def test_a_file_is_fetched(server: HttpsServer) -> None:
    """The bytes come as they are; what is missing is an HTTP error; a redirect is not followed."""
    server.answer = lambda asked: (200, b"x" * 600_000) if asked.path == "/file" else (302, b"")
    fetcher = Fetcher(server_context(server.trust.ca_pem))
    url = server.trust.downloads_url
    assert fetcher.download_bytes(f"{url}/file", 600_000) == b"x" * 600_000
    with pytest.raises(DownloadHTTPError, match="answered 302, expected 200"):
        fetcher.download_bytes(f"{url}/moved", 10)
    with pytest.raises(DownloadError, match="is not fetched over TLS"):
        fetcher.download_bytes(url.replace("https", "http") + "/file", 10)


def test_a_fetch_that_breaks_off_or_drags_on(server: HttpsServer) -> None:
    """A connection that ends early, and a fetch beyond its time, are errors."""
    url = server.trust.downloads_url
    context = server_context(server.trust.ca_pem)
    server.answer = lambda _: (0, b"")
    with pytest.raises(DownloadError, match="cannot be fetched"):
        Fetcher(context).download_bytes(f"{url}/file", 10)
    server.answer = lambda _: (200, b"x" * 100)
    with pytest.raises(SlowRetrievalError, match="took longer than"):
        Fetcher(context, seconds=-1.0).download_bytes(f"{url}/file", 100)

    def short(asked: Asked) -> tuple[int, bytes]:
        server.headers["Content-Length"] = "500"
        return 200, b"x"

    server.answer = short
    began = time.monotonic()
    with pytest.raises(DownloadError):
        Fetcher(context).download_bytes(f"{url}/file", 1000)
    assert time.monotonic() - began < 30
