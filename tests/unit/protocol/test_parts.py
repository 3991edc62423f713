"""The further parts of a report, cut to bounds."""

import json

import pytest
from opamp.v1 import anyvalue_pb2, opamp_pb2

from distribution.domain.agent import Components, Health
from distribution.domain.configuration import ConfigState, ConfigStatus
from distribution.domain.connections import ConnectionState, ConnectionStatus
from distribution.protocol import parts


def _nested(depth: int) -> opamp_pb2.ComponentHealth:
    top = opamp_pb2.ComponentHealth(healthy=True, status="top")
    here = top
    for level in range(depth):
        here = here.component_health_map[f"level-{level}"]
    return top


def _depth(health: Health) -> int:
    return 1 + max(map(_depth, health.components.values())) if health.components else 0


def test_health_is_a_tree() -> None:
    """Parts by their names, each with its own words."""
    message = opamp_pb2.ComponentHealth(healthy=True, status="ok")
    assert parts.health(message) == Health(healthy=True, status="ok")
    message.component_health_map["pipeline:traces"].last_error = "queue is full"
    assert parts.health(message) == Health(
        healthy=True,
        status="ok",
        components={"pipeline:traces": Health(healthy=False, error="queue is full")},
    )


def test_attributes_of_health_are_left_aside() -> None:
    """Health with attributes, its own and those of its parts, is the same health without."""

    def said(*keys: str) -> opamp_pb2.ComponentHealth:
        message = opamp_pb2.ComponentHealth(healthy=True, status="ok")
        message.component_health_map["pipeline:traces"].last_error = "queue is full"
        for key in keys:
            value = anyvalue_pb2.AnyValue(string_value="x" * 10_000)
            message.attributes.append(anyvalue_pb2.KeyValue(key=key, value=value))
            message.component_health_map["pipeline:traces"].attributes.append(message.attributes[-1])
        return message

    found = parts.health(said("status", "healthy", "component_health_map"))
    assert found == parts.health(said())
    assert "xxx" not in repr(found)


def test_health_is_cut_in_depth_and_number() -> None:
    """Neither depth nor breadth is the agent's to choose."""
    assert _depth(parts.health(_nested(50))) == parts.HEALTH_DEPTH_MAX
    wide = opamp_pb2.ComponentHealth()
    for number in range(2 * parts.HEALTH_PARTS_MAX):
        wide.component_health_map[f"p{number}"].component_health_map["below"].healthy = True
    found = parts.health(wide)
    assert len(found.components) + sum(len(part.components) for part in found.components.values()) == (
        parts.HEALTH_PARTS_MAX
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (opamp_pb2.RemoteConfigStatuses_UNSET, ConfigState.UNSET),
        (opamp_pb2.RemoteConfigStatuses_APPLYING, ConfigState.APPLYING),
        (opamp_pb2.RemoteConfigStatuses_APPLIED, ConfigState.APPLIED),
        (opamp_pb2.RemoteConfigStatuses_FAILED, ConfigState.FAILED),
        (77, ConfigState.UNSET),
    ],
)
def test_configuration_status(status: opamp_pb2.RemoteConfigStatuses.ValueType, state: ConfigState) -> None:
    """A state of a later version of the protocol is none."""
    message = opamp_pb2.RemoteConfigStatus(last_remote_config_hash=b"h", status=status, error_message="no")
    assert parts.config_status(message) == ConfigStatus(state, b"h", "no")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (opamp_pb2.ConnectionSettingsStatuses_UNSET, ConnectionState.UNSET),
        (opamp_pb2.ConnectionSettingsStatuses_APPLYING, ConnectionState.APPLYING),
        (opamp_pb2.ConnectionSettingsStatuses_APPLIED, ConnectionState.APPLIED),
        (opamp_pb2.ConnectionSettingsStatuses_FAILED, ConnectionState.FAILED),
        (77, ConnectionState.UNSET),
    ],
)
def test_connection_status(
    status: opamp_pb2.ConnectionSettingsStatuses.ValueType, state: ConnectionState
) -> None:
    """A hash that is too long to be one is none."""
    message = opamp_pb2.ConnectionSettingsStatus(
        last_connection_settings_hash=bytes(65), status=status, error_message="no"
    )
    assert parts.connection_status(message) == ConnectionStatus(state, b"", "no")


def test_effective_configuration_is_taken_whole_or_not_at_all() -> None:
    """Half of one would look like a difference."""
    message = opamp_pb2.EffectiveConfig()
    message.config_map.config_map[""].body = b"receivers: {}"
    found = parts.effective(message)
    assert found is not None
    assert found[""].body == b"receivers: {}"
    message.config_map.config_map["big"].body = bytes(parts.EFFECTIVE_MAX_BYTES)
    assert parts.effective(message) is None
    many = opamp_pb2.EffectiveConfig()
    for number in range(parts.OBJECTS_MAX + 1):
        many.config_map.config_map[str(number)].body = b"x"
    assert parts.effective(many) is None


def test_components_are_a_hash_and_maybe_a_list() -> None:
    """The list is JSON, with metadata and parts of parts."""
    message = opamp_pb2.AvailableComponents(hash=b"h")
    assert parts.components(message) == Components(b"h")
    receivers = message.components["receivers"].sub_component_map["otlp"]
    receivers.metadata.add(key="code.namespace", value=anyvalue_pb2.AnyValue(string_value="go\0example"))
    listed = parts.components(message).listed
    assert listed is not None
    assert json.loads(listed) == {
        "receivers": {"otlp": {"code.namespace": "go\N{REPLACEMENT CHARACTER}example"}}
    }


def test_a_list_of_components_is_cut() -> None:
    """Beyond the bound only its length is kept; depth ends too."""
    message = opamp_pb2.AvailableComponents(hash=b"h")
    for name in range(parts.OBJECTS_MAX):
        found = message.components[f"{name:0800}"].metadata
        for key in range(6):
            found.add(key=f"{key:0800}", value=anyvalue_pb2.AnyValue(string_value="v"))
    listed = parts.components(message).listed
    assert listed is not None
    assert json.loads(listed)["too_long"] > parts.COMPONENTS_MAX_CHARS
    deep = opamp_pb2.AvailableComponents()
    here = deep.components["a"]
    for _ in range(10):
        here = here.sub_component_map["a"]
    assert parts.components(deep).listed == '{"a": ' * (parts.COMPONENTS_DEPTH_MAX + 1) + "{}" + "}" * 5


def test_components_are_bounded_all_together() -> None:
    """Whether it is parts of parts or attributes that are many: the first in order are listed."""
    wide, most = opamp_pb2.AvailableComponents(), parts.COMPONENTS_PARTS_MAX
    for number in range(110):
        for part in range(110):
            wide.components[f"{number:03}"].sub_component_map[f"{part:03}"].metadata.add(key="a")
    listed = json.loads(parts.components(wide).listed or "")
    assert list(listed) == sorted(listed)
    assert most // 2 - 1 <= len(listed) + sum(len(one) for one in listed.values()) <= most
    told = opamp_pb2.AvailableComponents()
    for number in range(256):
        for _ in range(200):
            told.components[f"{number:03}"].metadata.add(key="a")
    listed = json.loads(parts.components(told).listed or "")
    assert len(listed) == most // 201 + 1


def test_custom_messages_are_bounded() -> None:
    """A message that is too large is passed over; names beyond the bound too."""
    message = opamp_pb2.CustomMessage(capability="c", type="t", data=b"d")
    found = parts.custom(message)
    assert found is not None
    assert (found.capability, found.type, found.data) == ("c", "t", b"d")
    message.data = bytes(parts.CUSTOM_MAX_BYTES + 1)
    assert parts.custom(message) is None
    names = parts.custom_capabilities(str(number) for number in range(1000))
    assert len(names) == parts.CUSTOM_CAPABILITIES_MAX
