"""What the server says, from values to messages. Protobuf goes no further up than this.

Rules: an error is said alone (OpAMP "ServerToAgent.error_response"); packages are always the complete set;
connection settings are always complete too, because some agents build their settings from the message
alone; a heartbeat interval is never zero, which would turn heartbeats off.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from opamp.v1 import opamp_pb2

from distribution.domain.agent import CustomMessage
from distribution.domain.attempts import numbered
from distribution.domain.configuration import RemoteConfig
from distribution.domain.connections import ConnectionOffer, Credential
from distribution.domain.offer import DOWNGRADE_HEADER, Offer, OfferedPackage
from distribution.domain.package import PackageType
from distribution.domain.terms import Fault, Terms
from distribution.protocol import wire
from distribution.protocol.rendered import Parts
from distribution.protocol.settings import HTTP, WEBSOCKET, Route, connection_settings

SERVER_CAPABILITIES: Final = (
    opamp_pb2.ServerCapabilities_AcceptsStatus
    | opamp_pb2.ServerCapabilities_OffersRemoteConfig
    | opamp_pb2.ServerCapabilities_AcceptsEffectiveConfig
    | opamp_pb2.ServerCapabilities_OffersPackages
    | opamp_pb2.ServerCapabilities_AcceptsPackagesStatus
    | opamp_pb2.ServerCapabilities_OffersConnectionSettings
    | opamp_pb2.ServerCapabilities_AcceptsConnectionSettingsRequest
)
"""What this server can do; said in the first message of a connection."""

_FAULTS: Final = {
    Fault.UNKNOWN: opamp_pb2.ServerErrorResponseType_Unknown,
    Fault.BAD_REQUEST: opamp_pb2.ServerErrorResponseType_BadRequest,
    Fault.UNAVAILABLE: opamp_pb2.ServerErrorResponseType_Unavailable,
}

_TYPES: Final = {
    PackageType.TOP_LEVEL: opamp_pb2.PackageType_TopLevel,
    PackageType.ADDON: opamp_pb2.PackageType_Addon,
}

PACKED_FROM_BYTES: Final = 512
"""Responses from this size on are packed for a client that reads gzip."""

logger = logging.getLogger(__name__)

_NANOSECONDS: Final = 1_000_000_000
_ADDRESSED: Final = b"\x0a\x10"  # field 1, 16 bytes: the instance uid follows
_parts: Final = Parts()


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error response. `retry_after` is in seconds."""

    fault: Fault
    text: str
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class ConfigOffer:
    """A remote configuration, and which try of it this is, counted from one."""

    config: RemoteConfig
    attempt: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What one message to an agent says; parts that are None or false are left out.

    `uid` is None only where an error answers what was not understood well enough to know its sender.
    """

    uid: UUID | None
    refusal: Refusal | None = None
    greeting: bool = False
    full_state: bool = False
    offer: Offer | None = None
    offer_attempt: int = 1
    credential: Credential | None = None
    config: ConfigOffer | None = None
    connections: ConnectionOffer | None = None
    restart: bool = False
    """Told alone: of the rest only the greeting is said beside it."""
    components: bool = False
    """Whether the list of components is asked for."""
    new_uid: UUID | None = None
    """What the agent is to call itself from now on."""
    custom: CustomMessage | None = None
    custom_capabilities: tuple[str, ...] = ()
    """Said with the greeting."""

    @property
    def bare(self) -> bool:
        """Whether it says nothing but that the message was heard."""
        return self.offer is None and self.config is None and not self.personal

    @property
    def personal(self) -> bool:
        """Whether it says something that only this agent is told, beside its uid."""
        asks = self.greeting or self.full_state or self.components or self.restart
        said = self.refusal or self.credential or self.connections or self.new_uid or self.custom
        return asks or said is not None


def render(reply: Reply, terms: Terms, route: Route) -> opamp_pb2.ServerToAgent:
    """Return the message that says `reply`."""
    message = _own(reply, terms, route)
    for part in _alike(reply, terms):
        message.MergeFromString(part)
    return message


def for_websocket(reply: Reply, terms: Terms) -> bytes:
    """Return the payload of the binary frame that says `reply`; see `_limited`."""
    return wire.WS_HEADER + _encoded(reply, terms, WEBSOCKET)


def for_http(reply: Reply, terms: Terms, *, reads_gzip: bool) -> tuple[bytes, bool]:
    """Return the body of the response that says `reply`, and whether it is gzipped; see `_limited`."""
    body = _encoded(reply, terms, HTTP)
    packed = reads_gzip and len(body) >= PACKED_FROM_BYTES
    return wire.packed(body) if packed else body, packed


def _encoded(reply: Reply, terms: Terms, route: Route) -> bytes:
    if reply.uid is not None and not reply.personal:
        own = _ADDRESSED + reply.uid.bytes
    else:
        own = _own(reply, terms, route).SerializeToString()
    return _limited(own, b"".join((own, *_alike(reply, terms))))


def _own(reply: Reply, terms: Terms, route: Route) -> opamp_pb2.ServerToAgent:
    """Return what is said to this agent alone."""
    message = opamp_pb2.ServerToAgent(instance_uid=b"" if reply.uid is None else reply.uid.bytes)
    if reply.refusal is not None:
        message.error_response.CopyFrom(_error(reply.refusal))
        return message
    if reply.greeting:
        message.capabilities = SERVER_CAPABILITIES
    if reply.restart:
        message.command.type = opamp_pb2.CommandType_Restart
        return message
    _ask(message, reply)
    if reply.credential is not None or reply.connections is not None:
        settings = connection_settings(reply.connections, reply.credential, terms, route)
        message.connection_settings.CopyFrom(settings)
    return message


def _alike(reply: Reply, terms: Terms) -> Iterator[bytes]:
    """Yield what others are told too, each as a message of that part alone (`protocol.rendered`)."""
    if reply.refusal is not None or reply.restart:
        return
    offer, attempt, config = reply.offer, reply.offer_attempt, reply.config
    if offer is not None:
        yield _parts.part(
            ("packages", offer.hash, attempt, terms.downloads_url),
            lambda: opamp_pb2.ServerToAgent(
                packages_available=_packages(offer, attempt, terms)
            ).SerializeToString(),
        )
    if config is not None:
        yield _parts.part(
            ("config", config.config.digest, config.attempt),
            lambda: opamp_pb2.ServerToAgent(remote_config=_config(config)).SerializeToString(),
        )


def _ask(message: opamp_pb2.ServerToAgent, reply: Reply) -> None:
    if reply.full_state:
        message.flags |= opamp_pb2.ServerToAgentFlags_ReportFullState
    if reply.components:
        message.flags |= opamp_pb2.ServerToAgentFlags_ReportAvailableComponents
    if reply.greeting and reply.custom_capabilities:
        message.custom_capabilities.capabilities.extend(reply.custom_capabilities)
    if reply.new_uid is not None:
        message.agent_identification.new_instance_uid = reply.new_uid.bytes
    if reply.custom is not None:
        said = reply.custom
        message.custom_message.capability, message.custom_message.type = said.capability, said.type
        message.custom_message.data = said.data


def _limited(own: bytes, encoded: bytes) -> bytes:
    """Return the message, or where it is larger than agents take, its bare acknowledgement; that is logged.

    OpAMP "WebSocket Message Size Limits" and "Plain HTTP Message Size Limits": it MUST NOT be sent.
    """
    size = len(encoded)
    if size <= wire.SERVER_MESSAGE_MAX_BYTES:
        return encoded
    said = wire.decode(own, opamp_pb2.ServerToAgent)
    told = {"agent": said.instance_uid.hex(), "bytes": size, "most": wire.SERVER_MESSAGE_MAX_BYTES}
    logger.error("message to an agent is too large and was not sent", extra=told)
    bare = opamp_pb2.ServerToAgent(instance_uid=said.instance_uid, capabilities=said.capabilities)
    return bare.SerializeToString()


def _config(offer: ConfigOffer) -> opamp_pb2.AgentRemoteConfig:
    message = opamp_pb2.AgentRemoteConfig(config_hash=numbered(offer.config.digest, offer.attempt))
    for key, found in offer.config.objects.items():
        said = message.config.config_map[key]
        said.body, said.content_type, said.role = found.body, found.content_type, found.role
    return message


def _error(refusal: Refusal) -> opamp_pb2.ServerErrorResponse:
    error = opamp_pb2.ServerErrorResponse(type=_FAULTS[refusal.fault], error_message=refusal.text)
    if refusal.retry_after is not None:
        error.retry_info.retry_after_nanoseconds = refusal.retry_after * _NANOSECONDS
    return error


def _packages(offer: Offer, attempt: int, terms: Terms) -> opamp_pb2.PackagesAvailable:
    return opamp_pb2.PackagesAvailable(
        packages={package.name: _package(package, terms) for package in offer.packages},
        all_packages_hash=numbered(offer.hash, attempt),
    )


def _package(package: OfferedPackage, terms: Terms) -> opamp_pb2.PackageAvailable:
    artifact = package.artifact
    url = f"{terms.downloads_url.rstrip('/')}/targets/{artifact.path.hashed(artifact.sha256)}"
    file = opamp_pb2.DownloadableFile(download_url=url, content_hash=artifact.sha256.raw)
    if package.downgrade:
        file.headers.headers.add(key=DOWNGRADE_HEADER, value=str(package.version))
    return opamp_pb2.PackageAvailable(
        type=_TYPES[package.type], version=str(package.version), file=file, hash=package.hash
    )
