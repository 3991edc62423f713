"""What the server says, from values to messages. Protobuf goes no further up than this.

Rules: an error is said alone (OpAMP "ServerToAgent.error_response"); packages are always the complete set;
connection settings are always complete too, because some agents build their settings from the message
alone; a heartbeat interval is never zero, which would turn heartbeats off.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from opamp.v1 import opamp_pb2

from distribution.domain.agent import Fault, Terms
from distribution.domain.connections import Credential
from distribution.domain.offer import DOWNGRADE_HEADER, Offer, OfferedPackage
from distribution.domain.package import PackageType
from distribution.protocol import wire
from distribution.protocol.settings import HTTP, WEBSOCKET, Route, connection_settings

SERVER_CAPABILITIES: Final = (
    opamp_pb2.ServerCapabilities_AcceptsStatus
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

_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error response. `retry_after` is in seconds."""

    fault: Fault
    text: str
    retry_after: int | None = None


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
    credential: Credential | None = None

    @property
    def bare(self) -> bool:
        """Whether it says nothing but that the message was heard."""
        said = self.greeting or self.full_state
        return not said and self.refusal is None and self.offer is None and self.credential is None


def render(reply: Reply, terms: Terms, route: Route) -> opamp_pb2.ServerToAgent:
    """Return the message that says `reply`."""
    message = opamp_pb2.ServerToAgent(instance_uid=b"" if reply.uid is None else reply.uid.bytes)
    if reply.refusal is not None:
        message.error_response.CopyFrom(_error(reply.refusal))
        return message
    if reply.greeting:
        message.capabilities = SERVER_CAPABILITIES
    if reply.full_state:
        message.flags = opamp_pb2.ServerToAgentFlags_ReportFullState
    if reply.offer is not None:
        message.packages_available.CopyFrom(_packages(reply.offer, terms))
    if reply.credential is not None:
        message.connection_settings.CopyFrom(connection_settings(None, reply.credential, terms, route))
    return message


def for_websocket(reply: Reply, terms: Terms) -> bytes:
    """Return the payload of the binary frame that says `reply`."""
    return wire.encode_ws(render(reply, terms, WEBSOCKET))


def for_http(reply: Reply, terms: Terms, *, reads_gzip: bool) -> tuple[bytes, bool]:
    """Return the body of the response that says `reply`, and whether it is gzipped."""
    message = render(reply, terms, HTTP)
    packed = reads_gzip and message.ByteSize() >= PACKED_FROM_BYTES
    return wire.encode_http(message, compress=packed), packed


def _error(refusal: Refusal) -> opamp_pb2.ServerErrorResponse:
    error = opamp_pb2.ServerErrorResponse(type=_FAULTS[refusal.fault], error_message=refusal.text)
    if refusal.retry_after is not None:
        error.retry_info.retry_after_nanoseconds = refusal.retry_after * _NANOSECONDS
    return error


def _packages(offer: Offer, terms: Terms) -> opamp_pb2.PackagesAvailable:
    return opamp_pb2.PackagesAvailable(
        packages={package.name: _package(package, terms) for package in offer.packages},
        all_packages_hash=offer.hash,
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
