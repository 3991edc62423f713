"""Threat: one message of very many small parts holds up everybody else while it is parsed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.errors import MalformedError
from distribution.protocol import parts, wire
from distribution.protocol.reports import from_http, from_websocket
from tests.fakes.certificates import agent
from tests.fakes.listening import listening
from tests.fakes.wire_client import answer, description, http_client, post, said, tell, websocket
from tests.fakes.yardstick import in_walks

SIZE = wire.SERVER_MESSAGE_MAX_BYTES - 1024
WALKS_MOST = 16.0
"""Of `yardstick.walk`: fields too many are found in 3 to 7, parts in 2 to 11; to parse takes 20 and more."""

UID = agent(1).raw
TOP = {field.name: field.number for field in opamp_pb2.AgentToServer.DESCRIPTOR.fields}


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def keyed(number: int) -> bytes:
    """Return a map's entries, each with a key of its own and an empty value."""
    out, key = bytearray(), 0
    while len(out) < SIZE - 64:
        out += field(number, field(1, b"%x" % key) + b"\x12\x00")
        key += 1
    return bytes(out)


def parts_of(kind: type, name: str) -> int:
    number: int = kind.DESCRIPTOR.fields_by_name[name].number  # type: ignore[attr-defined] # a message
    return number


SHAPES: dict[str, Callable[[], bytes]] = {
    "health of 300,000 parts": lambda: field(
        TOP["health"], keyed(parts_of(opamp_pb2.ComponentHealth, "component_health_map"))
    ),
    "packages": lambda: field(
        TOP["package_statuses"], keyed(parts_of(opamp_pb2.PackageStatuses, "packages"))
    ),
    "components": lambda: field(
        TOP["available_components"], keyed(parts_of(opamp_pb2.AvailableComponents, "components"))
    ),
    "objects of a configuration": lambda: field(TOP["effective_config"], field(1, keyed(1))),
    "attributes": lambda: field(TOP["agent_description"], b"\x0a\x00" * (SIZE // 2 - 64)),
    "a list in an attribute": lambda: field(
        TOP["agent_description"], field(1, field(2, field(5, b"\x0a\x00" * (SIZE // 2 - 64))))
    ),
    "empty entries": lambda: field(TOP["health"], b"\x3a\x00" * (SIZE // 2 - 64)),
    "custom capabilities": lambda: field(TOP["custom_capabilities"], b"\x0a\x00" * (SIZE // 2 - 64)),
    "the same number again": lambda: b"\x10\x00" * (SIZE // 2 - 64),
    "what nobody knows": lambda: b"\xa0\x06\x00" * (SIZE // 3 - 64),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_message_of_as_many_fields_as_there_is_room_for(shape: str) -> None:
    """It is refused before it is parsed, packed or not, and whoever waits behind it does not feel it."""
    body = field(TOP["instance_uid"], UID) + SHAPES[shape]()
    assert wire.UNCOUNTED_BYTES < len(body) < SIZE

    def refused() -> None:
        with pytest.raises(MalformedError, match="has more than 32768 fields"):
            from_websocket(b"\x00" + body)

    assert in_walks(refused) < WALKS_MOST
    with pytest.raises(MalformedError, match="has more than 32768 fields"):
        from_http(wire.packed(body), "gzip", wire.SERVER_MESSAGE_MAX_BYTES)


def components_in_components() -> opamp_pb2.AvailableComponents:
    message = opamp_pb2.AvailableComponents(hash=b"h")
    for number in range(150):
        for part in range(200):
            message.components[f"{number:x}"].sub_component_map[f"{part:x}"].SetInParent()
    return message


def components_side_by_side() -> opamp_pb2.AvailableComponents:
    message = opamp_pb2.AvailableComponents(hash=b"h")
    for number in range(26_000):
        message.components[f"{number:x}"].SetInParent()
    return message


def empty_attributes() -> opamp_pb2.AvailableComponents:
    message = opamp_pb2.AvailableComponents(hash=b"h")
    for number in range(256):
        for _ in range(256):
            message.components[f"{number:x}"].metadata.add()
    return message


@pytest.mark.parametrize("make", [components_in_components, components_side_by_side, empty_attributes])
def test_a_list_of_components_just_small_enough(make: Callable[[], opamp_pb2.AvailableComponents]) -> None:
    """Its first parts are listed; the rest is not gone through."""
    message = make()
    assert message.ByteSize() <= parts.COMPONENTS_MAX_BYTES
    listed = json.loads(parts.components(message).listed or "")
    assert "too_long" not in listed
    assert len(listed) <= parts.OBJECTS_MAX
    below = sum(len(one) for one in listed.values())
    assert len(listed) + below <= parts.COMPONENTS_PARTS_MAX
    assert in_walks(lambda: parts.components(message)) < WALKS_MOST


def test_what_honest_agents_say_at_length_is_read() -> None:
    """A configuration of megabytes, thousands of parts with their health."""
    large = opamp_pb2.AgentToServer(instance_uid=UID)
    large.effective_config.config_map.config_map[""].body = b"x" * (SIZE - 1024)
    found = from_websocket(wire.encode_ws(large)).effective
    assert found is not None
    assert len(found[""].body) == SIZE - 1024
    fleet = opamp_pb2.AgentToServer(instance_uid=UID)
    for number in range(5_000):
        part = fleet.health.component_health_map[f"pod/collector-{number}"]
        part.status, part.last_error, part.healthy = "not ready", "back-off restarting", True
    assert len(wire.encode_ws(fleet)) > wire.UNCOUNTED_BYTES
    assert from_websocket(wire.encode_ws(fleet)).health is not None


def test_it_is_answered_and_the_connection_goes_on(tmp_path: Path) -> None:
    """Over both transports the agent is told that its request was bad."""
    bad = opamp_pb2.ServerErrorResponseType_BadRequest
    with listening(tmp_path, max_bytes=wire.SERVER_MESSAGE_MAX_BYTES) as at:
        one = at.enrolled()
        message = said(one.agent, 1, agent_description=description())
        for number in range(100_000):
            message.health.component_health_map[str(number)].healthy = True
        with websocket(at, one) as connection:
            assert tell(connection, message).error_response.type == bad
            assert tell(connection, said(one.agent, 2)).instance_uid == one.agent.raw
        with http_client(at, one) as pool:
            refused = post(pool, message)
            assert (refused.status, answer(refused).error_response.type) == (400, bad)
        assert at.registry.view(one.agent).health is None
