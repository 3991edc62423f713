"""The agent's words on the wire, and the server's words as values. Protobuf goes no further than this.

Nothing of what is read here is believed: versions and digests are text and bytes until `rules` has judged
them. Text is cut, and an offer of absurd size is refused whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from opamp.v1 import anyvalue_pb2, opamp_pb2

from distribution.agent.report import HealthReport, PackageReport, Report, Standing
from distribution.agent.rules import Wanted, WantedSet
from distribution.domain.offer import DOWNGRADE_HEADER
from distribution.domain.package import PackageType
from distribution.errors import MalformedError
from keys.identity import AgentId

CAPABILITIES: Final = (
    opamp_pb2.AgentCapabilities_ReportsStatus
    | opamp_pb2.AgentCapabilities_AcceptsPackages
    | opamp_pb2.AgentCapabilities_ReportsPackageStatuses
    | opamp_pb2.AgentCapabilities_AcceptsOpAMPConnectionSettings
    | opamp_pb2.AgentCapabilities_AcceptsRestartCommand
    | opamp_pb2.AgentCapabilities_ReportsHealth
    | opamp_pb2.AgentCapabilities_ReportsHeartbeat
    | opamp_pb2.AgentCapabilities_ReportsConnectionSettingsStatus
)
"""What this agent does; said in every message."""

TEXT_MAX_CHARS: Final = 1000
PACKAGES_MAX: Final = 128
"""Packages of an offer. With those that are held besides, a report stays within the 256 that servers take."""

_STANDINGS: Final = {
    Standing.INSTALLED: opamp_pb2.PackageStatusEnum_Installed,
    Standing.PENDING: opamp_pb2.PackageStatusEnum_InstallPending,
    Standing.INSTALLING: opamp_pb2.PackageStatusEnum_Installing,
    Standing.FAILED: opamp_pb2.PackageStatusEnum_InstallFailed,
    Standing.DOWNLOADING: opamp_pb2.PackageStatusEnum_Downloading,
}
_TYPES: Final = {
    opamp_pb2.PackageType_TopLevel: PackageType.TOP_LEVEL,
    opamp_pb2.PackageType_Addon: PackageType.ADDON,
}
_WORD_MAX: Final = 256
"""Longest name, version, hash or header value of an offer, in characters or bytes."""

_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class About:
    """What this agent is and where it runs, in the words of OpenTelemetry's resource attributes."""

    agent: AgentId
    service: str
    os_type: str
    arch: str
    host: str


def description(about: About, version: str) -> opamp_pb2.AgentDescription:
    """Return the description; `version` is the running program's, empty if there is none."""
    identifying = {"service.name": about.service, "service.instance.id": str(about.agent)}
    if version:
        identifying["service.version"] = version
    others = {"os.type": about.os_type, "host.arch": about.arch, "host.name": about.host}
    return opamp_pb2.AgentDescription(
        identifying_attributes=_attributes(identifying), non_identifying_attributes=_attributes(others)
    )


def health(report: HealthReport, now: datetime) -> opamp_pb2.ComponentHealth:
    """Return the program's health; `now` is the time of the statement, aware UTC."""
    return opamp_pb2.ComponentHealth(
        healthy=report.well,
        start_time_unix_nano=_nanoseconds(report.since) if report.since else 0,
        last_error=report.error[:TEXT_MAX_CHARS],
        status=report.status[:TEXT_MAX_CHARS],
        status_time_unix_nano=_nanoseconds(now),
    )


def package_statuses(report: Report) -> opamp_pb2.PackageStatuses:
    """Return the status of every package."""
    return opamp_pb2.PackageStatuses(
        packages={package.name: _package(package) for package in report.packages},
        server_provided_all_packages_hash=report.offer_hash,
    )


def _package(package: PackageReport) -> opamp_pb2.PackageStatus:
    status = opamp_pb2.PackageStatus(
        name=package.name,
        agent_has_version=package.version,
        agent_has_hash=package.hash,
        server_offered_version=package.offered_version[:TEXT_MAX_CHARS],
        server_offered_hash=package.offered_hash,
        status=_STANDINGS[package.standing],
        error_message=package.error[:TEXT_MAX_CHARS],
    )
    if package.progress is not None:
        status.download_details.download_percent = package.progress.percent
        status.download_details.download_bytes_per_second = package.progress.bytes_per_second
    return status


def certificate_request(csr_pem: bytes) -> opamp_pb2.ConnectionSettingsRequest:
    """Return the part of a message that asks for a certificate."""
    request = opamp_pb2.ConnectionSettingsRequest()
    request.opamp.certificate_request.csr = csr_pem
    return request


def wanted_set(packages: opamp_pb2.PackagesAvailable) -> WantedSet:
    """Return the offer as the server stated it.

    Raises:
        MalformedError: it has more packages than any host runs, or an endless hash.
    """
    # What is taken here is kept on disk and repeated in every report: a server that cannot read those would
    # never be able to say better.
    require_hash(packages.all_packages_hash)
    if len(packages.packages) > PACKAGES_MAX:
        raise MalformedError(f"offer has {len(packages.packages)} packages, at most {PACKAGES_MAX}")
    wanted = {name: _wanted(name, package) for name, package in packages.packages.items()}
    return WantedSet(wanted, packages.all_packages_hash)


def require_hash(value: bytes) -> bytes:
    """Return a hash of the server's if it is one that can be repeated. Raises MalformedError."""
    if len(value) > _WORD_MAX:
        raise MalformedError(f"hash has {len(value)} bytes, at most {_WORD_MAX}")
    return value


def _wanted(name: str, package: opamp_pb2.PackageAvailable) -> Wanted:
    if package.type not in _TYPES:
        raise MalformedError(f"package {name[:80]!r} is offered with the unknown type {package.type}")
    headers = _headers(package.file.headers)
    words = (name, package.version, package.hash, package.file.content_hash, *headers.values())
    longest = max(len(word) for word in words)
    if longest > _WORD_MAX:
        raise MalformedError(
            f"package {name[:80]!r} is offered with a value of length {longest}, at most {_WORD_MAX}"
        )
    return Wanted(
        name=name,
        type=_TYPES[package.type],
        version=package.version,
        sha256=package.file.content_hash,
        hash=package.hash,
        downgrade=headers.get(DOWNGRADE_HEADER.lower()),
    )


def _headers(headers: opamp_pb2.Headers) -> Mapping[str, str]:
    return {header.key.lower(): header.value for header in headers.headers}


def _attributes(values: Mapping[str, str]) -> list[anyvalue_pb2.KeyValue]:
    return [
        anyvalue_pb2.KeyValue(key=key, value=anyvalue_pb2.AnyValue(string_value=value))
        for key, value in values.items()
    ]


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * _NANOSECONDS + moment.microsecond * 1000
