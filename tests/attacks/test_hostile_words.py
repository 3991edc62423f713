"""A stolen server chooses its words to make the agent trip: the agent says no, and comes back later.

An agent that ends takes its program with it. So nothing that a server can say may end it.
"""

import asyncio
import base64
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from opamp.v1 import opamp_pb2
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from distribution.agent.conversation import SettingsStatus
from distribution.agent.link import same_place
from distribution.errors import UnreachableError
from keys.errors import TrustError
from keys.identity import spiffe_uri
from tests.fakes.certificates import DOMAIN, NOW, SHA256, SmallCa, agent, new_key, small_ca
from tests.fakes.client_story import OK, URL, Story, settings
from tests.unit.agent.test_credentials import credentials
from tests.unit.agent.test_websocket import echo, exchange

NO_ADDRESSES = ["wss://[", "wss://[x]/v1/opamp", "https://[::1", "wss://\u2100.example/v1/opamp"]


@pytest.fixture(scope="module")
def ca() -> SmallCa:
    return small_ca()


@pytest.fixture
def story(tmp_path: Path, ca: SmallCa) -> Story:
    return Story(tmp_path, ca)


def hear(story: Story, message: opamp_pb2.ServerToAgent) -> SettingsStatus:
    """Let the server say `message` to a connected agent; return where its settings stand then."""

    async def play(story: Story) -> None:
        await story.until(lambda: bool(story.links) and not story.credentials.usable(NOW)[0].is_next)
        await asyncio.to_thread(story.credentials.request, agent())
        story.links[0].say(message)
        await story.until(lambda: story.desk.settings is not None)

    story.tell(play)
    assert story.desk.settings is not None
    return story.desk.settings


@pytest.mark.parametrize("endpoint", NO_ADDRESSES)
def test_an_endpoint_that_is_no_address(story: Story, endpoint: str) -> None:
    """An endpoint that cannot even be parsed is refused like any that is not the pinned one."""
    assert not same_place(endpoint, URL)
    status = hear(story, settings(endpoint=endpoint))
    assert not status.applied
    assert "is not the pinned one" in status.error
    assert story.links[0].said[-1].HasField("agent_disconnect"), "the session went on until the test ended it"


def certificate(key: ec.EllipticCurvePublicKey, ca: SmallCa, *names: x509.GeneralName) -> bytes:
    """Return a certificate as a thief of the issuing CA would make it, in DER."""
    builder = x509.CertificateBuilder(
        x509.Name([]), x509.Name([]), key, 7, NOW - timedelta(hours=1), NOW + timedelta(days=1)
    )
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    return builder.sign(ca.issuing_key, SHA256).public_bytes(Encoding.DER)


def of_another_version(der: bytes) -> bytes:
    return der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)


def of_an_unknown_kind_of_name(der: bytes) -> bytes:
    at = der.index(spiffe_uri(DOMAIN, agent()).encode()) - 2
    return der[:at] + b"\xa3" + der[at + 1 :]  # x400Address


@pytest.mark.parametrize("spoil", [of_another_version, of_an_unknown_kind_of_name])
def test_a_certificate_that_no_reader_expects(
    story: Story, tmp_path: Path, ca: SmallCa, spoil: Callable[[bytes], bytes]
) -> None:
    """A certificate whose reading fails in an odd way is refused like any that is not ours."""
    uri = x509.UniformResourceIdentifier(spiffe_uri(DOMAIN, agent()))
    der = spoil(certificate(new_key().public_key(), ca, uri))
    chain = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    asking = credentials(tmp_path / "other", ca)
    asking.request(agent())
    with pytest.raises(TrustError, match="is not an agent's"):
        asking.store(chain, agent(), NOW)
    assert "is not an agent's" in hear(story, settings(cert=chain)).error


def test_a_header_that_comes_twice(tmp_path: Path) -> None:
    """Two `Retry-After` are one refusal."""

    def busy(_: ServerConnection, __: Request) -> Response:
        headers = Headers([("Retry-After", "7"), ("Retry-After", "9"), ("Content-Length", "0")])
        return Response(503, "Busy", headers, b"")

    with pytest.raises(UnreachableError) as caught:
        exchange(tmp_path, echo, busy)
    assert caught.value.retry_after == 7


def test_what_nobody_thought_of(story: Story) -> None:
    """An error that is none of ours ends the session and never the agent."""
    story.refuse = lambda _: ZeroDivisionError("odd") if len(story.opened) == 1 else None

    async def play(story: Story) -> None:
        await story.until(lambda: len(story.links) == 1)

    story.answer = lambda _: [OK]
    story.tell(play)
    assert len(story.opened) == 2
