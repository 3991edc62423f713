"""What the server says on the wire."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import Fault, Terms
from distribution.domain.connections import Credential
from distribution.domain.offer import DOWNGRADE_HEADER, Offer
from distribution.domain.package import PackageType
from distribution.protocol import wire
from distribution.protocol.offers import (
    SERVER_CAPABILITIES,
    Refusal,
    Reply,
    for_http,
    for_websocket,
    render,
)
from distribution.protocol.settings import HTTP, WEBSOCKET
from tests.fakes.offers import an_offer

UID = UUID("0192f2a1-7c3e-7abc-8def-0123456789ab")
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TERMS = Terms("wss://fleet.example:4320/v1/opamp", "https://fleet.example:4321/", "CA PEM")


def test_bare_reply_is_the_uid_alone() -> None:
    """An answer that tells nothing still says whom it is for."""
    reply = Reply(UID)
    assert reply.bare
    assert render(reply, TERMS, WEBSOCKET) == opamp_pb2.ServerToAgent(instance_uid=UID.bytes)


def test_reply_that_says_something_is_not_bare() -> None:
    """Each part counts."""
    parts: list[dict[str, object]] = [
        {"greeting": True},
        {"full_state": True},
        {"offer": an_offer()},
        {"refusal": Refusal(Fault.UNKNOWN, "x")},
        {"credential": Credential(b"PEM", 30, NOW)},
    ]
    assert [replace(Reply(UID), **part).bare for part in parts] == [False] * len(parts)  # type: ignore[arg-type] # any part


def test_greeting_says_what_the_server_can_do() -> None:
    """The first message of a connection carries the server's capabilities, and no others."""
    message = render(Reply(UID, greeting=True), TERMS, WEBSOCKET)
    assert message.capabilities == SERVER_CAPABILITIES == 0x1 | 0x8 | 0x10 | 0x20 | 0x40


def test_full_state_is_asked_for_by_its_flag() -> None:
    """ReportFullState is bit 1."""
    assert render(Reply(UID, full_state=True), TERMS, WEBSOCKET).flags == 1


def test_error_is_said_alone() -> None:
    """With an error response every other field is left out, but the uid."""
    reply = Reply(UID, Refusal(Fault.BAD_REQUEST, "curve is P-384"), greeting=True, offer=an_offer())
    expected = opamp_pb2.ServerToAgent(
        instance_uid=UID.bytes,
        error_response=opamp_pb2.ServerErrorResponse(
            type=opamp_pb2.ServerErrorResponseType_BadRequest, error_message="curve is P-384"
        ),
    )
    assert render(reply, TERMS, WEBSOCKET) == expected


def test_unavailable_says_when_to_come_again() -> None:
    """Seconds become nanoseconds; a message whose sender is unknown has no uid."""
    message = render(Reply(None, Refusal(Fault.UNAVAILABLE, "busy", 30)), TERMS, WEBSOCKET)
    assert message.instance_uid == b""
    assert message.error_response.type == opamp_pb2.ServerErrorResponseType_Unavailable
    assert message.error_response.retry_info.retry_after_nanoseconds == 30_000_000_000


def test_offer_names_bytes_by_digest() -> None:
    """The address ends in the consistent-snapshot name, and both hashes are the offer's own."""
    offer = an_offer("1.2.0")
    package = offer.packages[0]
    available = render(Reply(UID, offer=offer), TERMS, WEBSOCKET).packages_available
    found = available.packages["otelcol"]
    digest = package.artifact.sha256
    assert available.all_packages_hash == offer.hash
    assert (found.type, found.version, found.hash) == (
        opamp_pb2.PackageType_TopLevel,
        "1.2.0",
        package.hash,
    )
    assert found.file.content_hash == digest.raw
    assert found.file.download_url == (
        f"https://fleet.example:4321/targets/acme/otelcol/1.2.0/linux-amd64/{digest}.otelcol"
    )
    assert not found.file.HasField("headers")


@pytest.mark.parametrize(
    ("kind", "number"),
    [(PackageType.TOP_LEVEL, 0), (PackageType.ADDON, 1)],
    ids=["top level", "addon"],
)
def test_type_is_said_as_it_was_signed(kind: PackageType, number: int) -> None:
    """Each type has its own number on the wire, whatever the package beside it is (OpAMP "PackageType")."""
    program, other = an_offer(name="otelcol").packages[0], an_offer(name="rules").packages[0]
    offer = Offer((program, replace(other, artifact=replace(other.artifact, type=kind))))
    payload = for_websocket(Reply(UID, offer=offer), TERMS)
    found = wire.decode_ws(payload, opamp_pb2.ServerToAgent).packages_available.packages
    assert {name: each.type for name, each in found.items()} == {"otelcol": 0, "rules": number}


def test_downgrade_is_marked_by_its_header() -> None:
    """The mark's value is the offered version."""
    available = render(Reply(UID, offer=an_offer("0.9.0", downgrade=True)), TERMS, WEBSOCKET)
    headers = available.packages_available.packages["otelcol"].file.headers.headers
    assert [(header.key, header.value) for header in headers] == [(DOWNGRADE_HEADER, "0.9.0")]


def test_empty_set_is_said_as_one() -> None:
    """An operator's empty set is present and hashed, unlike no offer."""
    message = render(Reply(UID, offer=Offer(())), TERMS, WEBSOCKET)
    assert message.HasField("packages_available")
    assert message.packages_available.all_packages_hash == Offer(()).hash
    assert not render(Reply(UID), TERMS, WEBSOCKET).HasField("packages_available")


def test_credential_comes_with_complete_settings() -> None:
    """Endpoint, heartbeat, certificate, its CA and the server's CA; never a private key."""
    message = render(Reply(UID, credential=Credential(b"LEAF", 30, NOW)), TERMS, WEBSOCKET)
    settings = message.connection_settings.opamp
    assert settings.destination_endpoint == "wss://fleet.example:4320/v1/opamp"
    assert settings.heartbeat_interval_seconds == 30
    assert (settings.certificate.cert, settings.certificate.ca_cert) == (b"LEAF", b"CA PEM")
    assert settings.certificate.private_key == b""
    assert settings.tls.ca_pem_contents == "CA PEM"
    assert not settings.tls.insecure_skip_verify


def test_endpoint_has_the_scheme_of_the_agents_transport() -> None:
    """An agent that polls is not sent to a WebSocket address."""
    message = render(Reply(UID, credential=Credential(b"LEAF", 30, NOW)), TERMS, HTTP)
    assert message.connection_settings.opamp.destination_endpoint == "https://fleet.example:4320/v1/opamp"


def test_heartbeat_is_never_turned_off() -> None:
    """Zero seconds would end heartbeats, so at least one is said."""
    message = render(Reply(UID, credential=Credential(b"LEAF", 0, NOW)), TERMS, WEBSOCKET)
    assert message.connection_settings.opamp.heartbeat_interval_seconds == 1


def test_settings_answered_again_have_another_hash() -> None:
    """An agent skips a hash it saw, even if applying failed, so each answer has its own."""
    first = Credential(b"LEAF", 30, NOW)
    later, other = replace(first, answered_at=NOW + timedelta(seconds=1)), replace(first, number=1)
    hashes = {
        render(Reply(UID, credential=credential), TERMS, WEBSOCKET).connection_settings.hash
        for credential in (first, first, later, other)
    }
    assert len(hashes) == 3


def test_each_transport_has_its_form() -> None:
    """A frame's payload, a plain body, and a packed one where the client reads it and it is worth it."""
    bare, long = Reply(UID), Reply(UID, credential=Credential(b"LEAF" * 200, 30, NOW))
    assert for_websocket(bare, TERMS) == wire.encode_ws(render(bare, TERMS, WEBSOCKET))
    assert for_http(bare, TERMS, reads_gzip=True) == (render(bare, TERMS, HTTP).SerializeToString(), False)
    assert for_http(long, TERMS, reads_gzip=False)[1] is False
    body, packed = for_http(long, TERMS, reads_gzip=True)
    assert packed
    assert wire.decode_http(body, opamp_pb2.ServerToAgent, "gzip") == render(long, TERMS, HTTP)
