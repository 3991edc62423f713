"""What the server says on the wire."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import CustomMessage
from distribution.domain.attempts import numbered
from distribution.domain.configuration import ConfigObject, RemoteConfig
from distribution.domain.connections import ConnectionOffer, ConnectionSet, Credential
from distribution.domain.offer import DOWNGRADE_HEADER, Offer
from distribution.domain.package import PackageType
from distribution.domain.terms import Fault, Terms
from distribution.protocol import wire
from distribution.protocol.offers import (
    SERVER_CAPABILITIES,
    ConfigOffer,
    Refusal,
    Reply,
    for_http,
    for_websocket,
    render,
)
from distribution.protocol.settings import HTTP, WEBSOCKET
from tests.fakes.offers import an_offer

UID = UUID("0192f2a1-7c3e-7abc-8def-0123456789ab")
OTHER = UUID("0192f2a1-7c3e-7abc-8def-0123456789ac")
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
    assert message.capabilities == SERVER_CAPABILITIES == 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40


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
    assert available.all_packages_hash == numbered(offer.hash, 1)
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
    assert message.packages_available.all_packages_hash == numbered(Offer(()).hash, 1)
    assert not render(Reply(UID), TERMS, WEBSOCKET).HasField("packages_available")


def test_each_transport_has_its_form() -> None:
    """A frame's payload, a plain body, and a packed one where the client reads it and it is worth it."""
    bare, long = Reply(UID), Reply(UID, credential=Credential(b"LEAF" * 200, 30, NOW))
    assert for_websocket(bare, TERMS) == wire.encode_ws(render(bare, TERMS, WEBSOCKET))
    assert for_http(bare, TERMS, reads_gzip=True) == (render(bare, TERMS, HTTP).SerializeToString(), False)
    assert for_http(long, TERMS, reads_gzip=False)[1] is False
    body, packed = for_http(long, TERMS, reads_gzip=True)
    assert packed
    assert wire.decode_http(body, opamp_pb2.ServerToAgent, "gzip") == render(long, TERMS, HTTP)


CONFIG = RemoteConfig({"base": ConfigObject(b"receivers: {}", "text/yaml", "main")}, "base@1")


def test_remote_configuration_is_said_whole_with_the_number_of_its_try() -> None:
    """Each object with body, type and role, and a hash that names content and try."""
    said = render(Reply(UID, config=ConfigOffer(CONFIG, 3)), TERMS, WEBSOCKET).remote_config
    assert said.config_hash == numbered(CONFIG.digest, 3)
    found = said.config.config_map["base"]
    assert (found.body, found.content_type, found.role) == (b"receivers: {}", "text/yaml", "main")


def test_command_is_told_alone() -> None:
    """Beside it only the capabilities of a greeting: whatever else would be there, clients pass over."""
    reply = Reply(UID, greeting=True, restart=True, full_state=True, config=ConfigOffer(CONFIG, 1))
    told = render(reply, TERMS, WEBSOCKET)
    assert [field.name for field, _ in told.ListFields()] == ["instance_uid", "capabilities", "command"]
    assert told.command.type == opamp_pb2.CommandType_Restart


def test_everything_that_is_asked_is_a_flag() -> None:
    """Full state and components each have their bit."""
    told = render(Reply(UID, full_state=True, components=True), TERMS, WEBSOCKET)
    assert told.flags == 0x1 | 0x2


def test_identity_and_custom_parts_are_said() -> None:
    """A new uid, a custom message, and the custom capabilities with the greeting only."""
    said = CustomMessage("io.example.x/v1", "pong", b"1")
    reply = Reply(UID, greeting=True, new_uid=OTHER, custom=said, custom_capabilities=("io.example.x/v1",))
    told = render(reply, TERMS, WEBSOCKET)
    assert told.agent_identification.new_instance_uid == OTHER.bytes
    message = told.custom_message
    assert (message.capability, message.type, message.data) == ("io.example.x/v1", "pong", b"1")
    assert list(told.custom_capabilities.capabilities) == ["io.example.x/v1"]
    later = render(replace(reply, greeting=False), TERMS, WEBSOCKET)
    assert not later.HasField("custom_capabilities")


def test_connection_settings_are_said() -> None:
    """Settings without a credential too."""
    offer = ConnectionOffer(ConnectionSet(heartbeat_seconds=20), 1, b"LEAF")
    told = render(Reply(UID, connections=offer), TERMS, WEBSOCKET)
    assert told.connection_settings.opamp.heartbeat_interval_seconds == 20


def test_message_that_agents_do_not_take_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    """It is acknowledged barely instead, and the log says so."""
    huge = RemoteConfig({"": ConfigObject(b"#" * wire.SERVER_MESSAGE_MAX_BYTES)})
    payload = for_websocket(Reply(UID, greeting=True, config=ConfigOffer(huge, 1)), TERMS)
    told = wire.decode_ws(payload, opamp_pb2.ServerToAgent)
    assert [field.name for field, _ in told.ListFields()] == ["instance_uid", "capabilities"]
    assert "too large" in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        {"greeting": True},
        {"restart": True},
        {"components": True},
        {"config": ConfigOffer(CONFIG, 1)},
        {"new_uid": UID},
        {"custom": CustomMessage("c", "t", b"")},
    ],
)
def test_whatever_is_said_is_not_bare(said: dict[str, Any]) -> None:
    """The one prebuilt answer is only for replies without anything in them."""
    assert Reply(UID).bare
    assert not Reply(UID, **said).bare
