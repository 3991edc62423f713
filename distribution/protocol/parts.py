"""The parts of a report beyond identity and packages: health, configuration, connections, components, custom.

Everything is cut to bounds as it is read: an agent may nest, repeat and lengthen what it says as it likes,
and no more of it is kept than a person would look at. What is too long is left out, never the rest.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from opamp.v1 import opamp_pb2

from distribution.domain.agent import Components, CustomMessage, Health
from distribution.domain.configuration import ConfigObject, ConfigState, ConfigStatus
from distribution.domain.connections import ConnectionState, ConnectionStatus
from distribution.domain.secrets import spoken

TEXT_MAX_CHARS: Final = 1024
"""Longest text of an agent's that is kept, in characters."""

HASH_MAX_BYTES: Final = 64
"""Longest hash that can be one of ours or a peer server's."""

HEALTH_DEPTH_MAX: Final = 4
"""Levels of health that are kept below the agent's own."""

HEALTH_PARTS_MAX: Final = 256
"""Parts of an agent whose health is kept."""

EFFECTIVE_MAX_BYTES: Final = 4 << 20
"""Largest effective configuration that is looked at, all its objects together."""

OBJECTS_MAX: Final = 256
"""Objects of a configuration that are looked at."""

COMPONENTS_MAX_CHARS: Final = 1 << 20
"""Longest list of components that is kept, as text."""

COMPONENTS_MAX_BYTES: Final = 256 << 10
"""Largest list of components that is looked at: this is the event loop's time."""

COMPONENTS_DEPTH_MAX: Final = 4

COMPONENTS_PARTS_MAX: Final = 8192
"""Components, components of components and their attributes that are listed, all together."""

CUSTOM_MAX_BYTES: Final = 64 << 10
"""Largest custom message that is taken."""

CUSTOM_CAPABILITIES_MAX: Final = 64

_CONFIG_STATES: Final[Mapping[int, ConfigState]] = {
    opamp_pb2.RemoteConfigStatuses_APPLYING: ConfigState.APPLYING,
    opamp_pb2.RemoteConfigStatuses_APPLIED: ConfigState.APPLIED,
    opamp_pb2.RemoteConfigStatuses_FAILED: ConfigState.FAILED,
}
_CONNECTION_STATES: Final[Mapping[int, ConnectionState]] = {
    opamp_pb2.ConnectionSettingsStatuses_APPLYING: ConnectionState.APPLYING,
    opamp_pb2.ConnectionSettingsStatuses_APPLIED: ConnectionState.APPLIED,
    opamp_pb2.ConnectionSettingsStatuses_FAILED: ConnectionState.FAILED,
}


def text(value: str) -> str:
    """Return an agent's words, cut."""
    # No database of ours but SQLite keeps a NUL in a text; one would stop the status of the whole fleet.
    return value[:TEXT_MAX_CHARS].replace("\0", "\N{REPLACEMENT CHARACTER}")


def named(value: bytes) -> bytes:
    """Return a hash, empty if it is too long to be one."""
    return value if len(value) <= HASH_MAX_BYTES else b""


def health(message: opamp_pb2.ComponentHealth) -> Health:
    """Return what an agent says of its health; parts beyond the bounds are left out."""
    if not message.component_health_map:
        return Health(message.healthy, text(message.status), spoken(text(message.last_error)))
    return _health(message, HEALTH_DEPTH_MAX, [HEALTH_PARTS_MAX])


def _health(message: opamp_pb2.ComponentHealth, depth: int, room: list[int]) -> Health:
    parts: dict[str, Health] = {}
    if depth:
        for name in sorted(islice(message.component_health_map, room[0])):
            if not room[0]:
                break
            room[0] -= 1
            parts[text(name)] = _health(message.component_health_map[name], depth - 1, room)
    return Health(message.healthy, text(message.status), spoken(text(message.last_error)), parts)


def config_status(message: opamp_pb2.RemoteConfigStatus) -> ConfigStatus:
    """Return what an agent says of its last remote configuration."""
    state = _CONFIG_STATES.get(message.status, ConfigState.UNSET)
    return ConfigStatus(state, named(message.last_remote_config_hash), spoken(text(message.error_message)))


def connection_status(message: opamp_pb2.ConnectionSettingsStatus) -> ConnectionStatus:
    """Return what an agent says of its last connection settings."""
    state = _CONNECTION_STATES.get(message.status, ConnectionState.UNSET)
    return ConnectionStatus(
        state, named(message.last_connection_settings_hash), spoken(text(message.error_message))
    )


def effective(message: opamp_pb2.EffectiveConfig) -> dict[str, ConfigObject] | None:
    """Return the effective configuration; None if it is too large to be looked at."""
    found = message.config_map.config_map
    if len(found) > OBJECTS_MAX or message.ByteSize() > EFFECTIVE_MAX_BYTES:
        return None
    return {
        text(key): ConfigObject(said.body, text(said.content_type), text(said.role))
        for key, said in found.items()
    }


def components(message: opamp_pb2.AvailableComponents) -> Components:
    """Return the hash of what an agent could run, and the list as JSON text if it was said."""
    if not message.components:
        return Components(named(message.hash))
    if (size := message.ByteSize()) > COMPONENTS_MAX_BYTES:
        return Components(named(message.hash), json.dumps({"too_long": size}))
    found = _details(message.components, COMPONENTS_DEPTH_MAX, [COMPONENTS_PARTS_MAX])
    listed = json.dumps(found, ensure_ascii=False)
    cut = listed if len(listed) <= COMPONENTS_MAX_CHARS else json.dumps({"too_long": len(listed)})
    return Components(named(message.hash), cut.replace("\\u0000", "\\ufffd"))


def _details(
    found: Mapping[str, opamp_pb2.ComponentDetails], depth: int, room: list[int]
) -> dict[str, object]:
    details: dict[str, object] = {}
    for name in sorted(found)[:OBJECTS_MAX]:
        if not room[0]:
            break
        room[0] -= 1
        pairs = list(islice(found[name].metadata, min(OBJECTS_MAX, room[0])))
        room[0] -= len(pairs)
        details[text(name)] = {
            **{text(pair.key): text(pair.value.string_value) for pair in pairs},
            **(_details(found[name].sub_component_map, depth - 1, room) if depth else {}),
        }
    return details


def custom(message: opamp_pb2.CustomMessage) -> CustomMessage | None:
    """Return a custom message; None if it is too large."""
    if len(message.data) > CUSTOM_MAX_BYTES:
        return None
    return CustomMessage(text(message.capability), text(message.type), message.data)


def custom_capabilities(found: Iterable[str]) -> frozenset[str]:
    """Return the custom capabilities that an agent says it has."""
    return frozenset(text(name) for name in islice(found, CUSTOM_CAPABILITIES_MAX))
