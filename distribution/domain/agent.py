"""What an agent told us last, what one message of it says, and what it is to be told.

Values only. A report's absent parts mean "as before" (OpAMP "Agent Status Compression"); `AgentView.heard`
is the one place that applies this. Text that comes from an agent is cut to a length when it is parsed, so
nothing here needs to fear its size.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, IntFlag
from typing import TypeVar
from uuid import UUID

from distribution.domain.attempts import is_of
from distribution.domain.configuration import ConfigObject, ConfigStatus, EffectiveSeen, RemoteConfig
from distribution.domain.connections import ConnectionSet, ConnectionStatus
from distribution.domain.offer import Offer


class Capability(IntFlag):
    """OpAMP `AgentCapabilities`, those that this server acts on."""

    NONE = 0
    REPORTS_STATUS = 0x1
    ACCEPTS_REMOTE_CONFIG = 0x2
    REPORTS_EFFECTIVE_CONFIG = 0x4
    ACCEPTS_PACKAGES = 0x8
    REPORTS_PACKAGE_STATUSES = 0x10
    REPORTS_OWN_TRACES = 0x20
    REPORTS_OWN_METRICS = 0x40
    REPORTS_OWN_LOGS = 0x80
    ACCEPTS_CONNECTION_SETTINGS = 0x100
    ACCEPTS_OTHER_CONNECTIONS = 0x200
    ACCEPTS_RESTART = 0x400
    REPORTS_HEALTH = 0x800
    REPORTS_REMOTE_CONFIG = 0x1000
    REPORTS_HEARTBEAT = 0x2000
    REPORTS_COMPONENTS = 0x4000
    REPORTS_CONNECTION_STATUS = 0x8000


class PackageState(Enum):
    """OpAMP `PackageStatusEnum`."""

    INSTALLED = "installed"
    PENDING = "pending"
    INSTALLING = "installing"
    FAILED = "failed"
    DOWNLOADING = "downloading"


_BUSY = (PackageState.INSTALLING, PackageState.DOWNLOADING)


@dataclass(frozen=True, slots=True)
class PackageReport:
    """What an agent says of one package. Versions are the agent's own words; hashes name our offers."""

    name: str
    state: PackageState
    version: str = ""
    hash: bytes = b""
    offered_version: str = ""
    offered_hash: bytes = b""
    error: str = ""


@dataclass(frozen=True, slots=True)
class PackagesReport:
    """What an agent says of all its packages. `offer_hash` is that of the last offer it took up."""

    packages: tuple[PackageReport, ...] = ()
    offer_hash: bytes = b""
    error: str = ""
    busy: bool = field(init=False, repr=False, compare=False)
    """Whether the agent is working on an offer; a second one would stop its receiving."""
    troubled: bool = field(init=False, repr=False, compare=False)
    """Whether it could not install some package, of this or another offer."""

    def __post_init__(self) -> None:
        # Looked at for every agent whenever an offer changes, and said but once.
        states = [package.state for package in self.packages]
        object.__setattr__(self, "busy", any(state in _BUSY for state in states))
        object.__setattr__(self, "troubled", PackageState.FAILED in states)

    def get(self, name: str) -> PackageReport | None:
        """Return what is said of the package of this name."""
        return next((package for package in self.packages if package.name == name), None)

    def failed(self, offer: Offer) -> bool:
        """Whether the agent says that it tried a part of this very offer and could not."""
        failed = [package for package in self.packages if package.state is PackageState.FAILED]
        if not failed:
            return False
        hashes = {package.name: package.hash for package in offer.packages}
        return any(hashes.get(package.name) == package.offered_hash for package in failed)

    def holds(self, offer: Offer) -> bool:
        """Whether the agent says that it has exactly what is offered."""
        if not is_of(offer.hash, self.offer_hash):
            return False
        held = {
            package.name: package.hash
            for package in self.packages
            if package.state is PackageState.INSTALLED and package.hash
        }
        return all(held.get(package.name) == package.hash for package in offer.packages)


@dataclass(frozen=True, slots=True)
class Health:
    """What an agent says of its health."""

    healthy: bool
    status: str = ""
    error: str = ""
    components: Mapping[str, "Health"] = field(default_factory=dict)
    """Of its parts, by their names; cut in depth and number when it is parsed."""


@dataclass(frozen=True, slots=True)
class Components:
    """OpAMP `AvailableComponents`: the hash of what an agent could run, and the list where it was asked for.

    `listed` is JSON text; None means that only the hash was said.
    """

    hash: bytes
    listed: str | None = None


@dataclass(frozen=True, slots=True)
class CustomMessage:
    """OpAMP `CustomMessage`, either way. `data` is the capability's own affair."""

    capability: str
    type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Restart:
    """An operator's order to restart an agent; `number` tells one order from the next."""

    number: int


@dataclass(frozen=True, slots=True)
class Description:
    """What an agent says it is, and where it runs. Only its platform plays a part in what it is offered."""

    identifying: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    platform: str | None = field(init=False, compare=False, repr=False)
    """`<os>-<arch>` in Go's words, or None if the agent does not say both."""

    def __post_init__(self) -> None:
        """Note the platform: each plan asks for it."""
        os_type = self.attributes.get("os.type") or self.identifying.get("os.type")
        arch = self.attributes.get("host.arch") or self.identifying.get("host.arch")
        platform = sys.intern(f"{os_type}-{arch}") if os_type and arch else None
        object.__setattr__(self, "platform", platform)


@dataclass(frozen=True, slots=True)
class Report:
    """One message of an agent. None means that the message does not speak of it."""

    uid: UUID
    sequence: int
    capabilities: Capability = Capability.NONE
    description: Description | None = None
    health: Health | None = None
    packages: PackagesReport | None = None
    csr: bytes | None = None
    """A certificate request in PEM."""
    disconnect: bool = False
    effective: Mapping[str, ConfigObject] | None = None
    """The effective configuration as reported, secrets and all: to be examined and forgotten."""
    config_status: ConfigStatus | None = None
    connection_status: ConnectionStatus | None = None
    components: Components | None = None
    custom_capabilities: frozenset[str] | None = None
    custom: CustomMessage | None = None
    wants_uid: bool = False
    """Whether it asks for an instance uid (flag `RequestInstanceUid`)."""

    @property
    def is_heartbeat(self) -> bool:
        """Whether it says nothing but that the agent is there."""
        return (
            self.description is None
            and self.health is None
            and self.packages is None
            and self.csr is None
            and self.effective is None
            and self.config_status is None
            and self.connection_status is None
            and self.components is None
            and self.custom_capabilities is None
            and self.custom is None
            and not self.wants_uid
            and not self.disconnect
        )


_Said = TypeVar("_Said")


def _news(said: _Said, before: _Said | None) -> _Said:
    """Return what was said; the value of before if it is equal, by which others see that nothing changed."""
    return said if before is None or said != before else before


@dataclass(frozen=True, slots=True)
class AgentView:
    """What is known of one agent. `labels` are an operator's or a token's, never the agent's own."""

    uid: UUID
    """Its instance uid."""
    labels: Mapping[str, str] = field(default_factory=dict)
    description: Description | None = None
    capabilities: Capability = Capability.NONE
    health: Health | None = None
    packages: PackagesReport | None = None
    connected: bool = False
    last_seen: datetime | None = None
    sequence: int | None = None
    """Number of its last message; None while something of what it said is missing."""
    problem: str = ""
    """Why no packages can be offered to it, empty if they can."""
    config: ConfigStatus | None = None
    effective: EffectiveSeen | None = None
    connections: ConnectionStatus | None = None
    components: Components | None = None
    """Whose list is known, because it was written down; it is kept aside."""
    custom_capabilities: frozenset[str] = frozenset()
    polls: bool = False
    """Whether it was last heard over plain HTTP; a restart of the server forgets it."""

    @property
    def platform(self) -> str | None:
        """`<os>-<arch>`, or None while it is unknown."""
        return None if self.description is None else self.description.platform

    def heard(self, report: Report, now: datetime) -> "AgentView":
        """Return the view after this report; what the report leaves out stays as it was."""
        return AgentView(  # for every message of every agent: `dataclasses.replace` takes three times as long
            self.uid,
            self.labels,
            self.description if report.description is None else _news(report.description, self.description),
            report.capabilities or self.capabilities,
            self.health if report.health is None else _news(report.health, self.health),
            self.packages if report.packages is None else _news(report.packages, self.packages),
            not report.disconnect,
            now,
            report.sequence,
            self.problem,
            self.config if report.config_status is None else _news(report.config_status, self.config),
            self.effective,
            self.connections if report.connection_status is None else self._of_connections(report),
            self.components,
            self.custom_capabilities if report.custom_capabilities is None else report.custom_capabilities,
            self.polls,
        )

    def _of_connections(self, report: Report) -> ConnectionStatus | None:
        """Of an agent that reports no such status, a word without a hash is none: what was offered stays."""
        said = report.connection_status
        able = Capability.REPORTS_CONNECTION_STATUS in (report.capabilities or self.capabilities)
        return self.connections if said is None or not (able or said.hash) else _news(said, self.connections)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one agent is to have. `offer` None means: say nothing about packages, whatever it holds."""

    offer: Offer | None
    heartbeat_seconds: int
    problem: str = ""
    """Why there is no offer of packages, for operators' eyes."""
    config: RemoteConfig | None = None
    """None: say nothing about configuration, whatever it runs."""
    config_problem: str = ""
    connections: ConnectionSet | None = None
    connections_problem: str = ""
    restart: Restart | None = None
    """An order that is still to be told, alone in its message."""
    retry_first: timedelta = timedelta(minutes=10)
    """Until what failed on the agent is offered again; doubled each time."""
