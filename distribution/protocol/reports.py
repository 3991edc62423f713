"""What an agent's message says, as values. The one place where an agent's words are judged and cut.

Rules: a message without a proper instance uid is malformed; text is cut to `parts.TEXT_MAX_CHARS`; attributes
beyond `ATTRIBUTES_MAX` are left out; more packages than `PACKAGES_MAX` are refused, because dropping some
would read as their removal. Unknown enum values read as the most cautious known one.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Final, TypedDict

from opamp.v1 import anyvalue_pb2, opamp_pb2

from distribution.domain.agent import (
    Capability,
    Components,
    CustomMessage,
    Description,
    PackageReport,
    PackagesReport,
    PackageState,
    Report,
)
from distribution.domain.configuration import ConfigObject, ConfigStatus
from distribution.domain.connections import ConnectionStatus
from distribution.errors import MalformedError
from distribution.protocol import parts, wire
from keys.errors import RefusedError
from keys.identity import AgentId

ATTRIBUTES_MAX: Final = 256
"""Attributes kept of a description, identifying and others each."""

PACKAGES_MAX: Final = 256
"""Packages that one agent may report."""

CSR_MAX_BYTES: Final = 16_384
"""Largest certificate request, in bytes; one for P-256 has about 500."""

_KNOWN: Final = sum(int(capability) for capability in Capability)

_STATES: Final[Mapping[int, PackageState]] = {
    opamp_pb2.PackageStatusEnum_Installed: PackageState.INSTALLED,
    opamp_pb2.PackageStatusEnum_InstallPending: PackageState.PENDING,
    opamp_pb2.PackageStatusEnum_Installing: PackageState.INSTALLING,
    opamp_pb2.PackageStatusEnum_InstallFailed: PackageState.FAILED,
    opamp_pb2.PackageStatusEnum_Downloading: PackageState.DOWNLOADING,
}


def from_websocket(payload: bytes) -> Report:
    """Return what the payload of a binary frame says; the frame was capped. Raises MalformedError."""
    return read_report(wire.decode_ws(payload, opamp_pb2.AgentToServer))


def from_http(body: bytes, encoding: str, max_bytes: int) -> Report:
    """Return what the body of a POST says.

    Args:
        body: the bytes as they came.
        encoding: value of `Content-Encoding`, empty if there was none.
        max_bytes: cap on the body, packed and unpacked.

    Raises:
        OversizedError: it is larger, or unpacks to more. MalformedError: it is no message of an agent.
    """
    return read_report(wire.decode_http(body, opamp_pb2.AgentToServer, encoding, max_bytes))


def read_report(message: opamp_pb2.AgentToServer) -> Report:
    """Return what `message` says. Raises MalformedError."""
    try:
        uid = AgentId.from_bytes(message.instance_uid).uuid
    except RefusedError as exc:
        raise MalformedError(str(exc)) from exc
    return Report(
        uid=uid,
        sequence=message.sequence_num,
        capabilities=_capabilities(message.capabilities & _KNOWN),
        description=(
            _description(message.agent_description) if message.HasField("agent_description") else None
        ),
        health=parts.health(message.health) if message.HasField("health") else None,
        packages=_packages(message.package_statuses) if message.HasField("package_statuses") else None,
        csr=_csr(message),
        disconnect=message.HasField("agent_disconnect"),
        wants_uid=bool(message.flags & opamp_pb2.AgentToServerFlags_RequestInstanceUid),
        **_more(message),
    )


class _More(TypedDict, total=False):
    effective: dict[str, ConfigObject] | None
    config_status: ConfigStatus
    connection_status: ConnectionStatus
    components: Components
    custom_capabilities: frozenset[str]
    custom: CustomMessage | None


def _more(message: opamp_pb2.AgentToServer) -> _More:
    """Return the parts that most messages leave out."""
    more: _More = {}
    if message.HasField("effective_config"):
        more["effective"] = parts.effective(message.effective_config)
    if message.HasField("remote_config_status"):
        more["config_status"] = parts.config_status(message.remote_config_status)
    if message.HasField("connection_settings_status"):
        more["connection_status"] = parts.connection_status(message.connection_settings_status)
    if message.HasField("available_components"):
        more["components"] = parts.components(message.available_components)
    if message.HasField("custom_capabilities"):
        said = message.custom_capabilities.capabilities
        more["custom_capabilities"] = parts.custom_capabilities(said)
    if message.HasField("custom_message"):
        more["custom"] = parts.custom(message.custom_message)
    return more


@lru_cache(maxsize=64)  # more than there are sets of what is known; making one anew is slow
def _capabilities(bits: int) -> Capability:
    return Capability(bits)


def _csr(message: opamp_pb2.AgentToServer) -> bytes | None:
    if not message.HasField("connection_settings_request"):
        return None
    csr = message.connection_settings_request.opamp.certificate_request.csr
    if not 0 < len(csr) <= CSR_MAX_BYTES:
        raise MalformedError(
            f"certificate request has {len(csr)} bytes, expected at least one and at most {CSR_MAX_BYTES}"
        )
    return csr


def _description(message: opamp_pb2.AgentDescription) -> Description:
    return Description(
        _attributes(message.identifying_attributes), _attributes(message.non_identifying_attributes)
    )


def _attributes(pairs: Iterable[anyvalue_pb2.KeyValue]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in islice(pairs, ATTRIBUTES_MAX):
        value = _scalar(pair.value)
        if value is not None:
            found[parts.text(pair.key)] = value
    return found


def _scalar(value: anyvalue_pb2.AnyValue) -> str | None:
    match value.WhichOneof("value"):
        case "string_value":
            return parts.text(value.string_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return repr(value.double_value)
    return None  # lists, maps and bytes describe nothing that we decide or show


def _packages(message: opamp_pb2.PackageStatuses) -> PackagesReport:
    if len(message.packages) > PACKAGES_MAX:
        raise MalformedError(f"message reports {len(message.packages)} packages, at most {PACKAGES_MAX}")
    return PackagesReport(
        tuple(_package(name, status) for name, status in sorted(message.packages.items())),
        parts.named(message.server_provided_all_packages_hash),
        parts.text(message.error_message),
    )


def _package(name: str, status: opamp_pb2.PackageStatus) -> PackageReport:
    return PackageReport(
        name=parts.text(name),
        # A state of a later version of the protocol is none that we may take for an end.
        state=_STATES.get(status.status, PackageState.PENDING),
        version=parts.text(status.agent_has_version),
        hash=parts.named(status.agent_has_hash),
        offered_version=parts.text(status.server_offered_version),
        offered_hash=parts.named(status.server_offered_hash),
        error=parts.text(status.error_message),
    )
