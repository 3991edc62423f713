"""What a message leads to beyond its answer: effects as values, carried out elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from distribution.domain.agent import Components
from distribution.domain.configuration import ConfigObject, RemoteConfig
from distribution.domain.connections import ConnectionSet


@dataclass(frozen=True, slots=True)
class Certify:
    """Answer this certificate request (PEM) with a credential or a refusal."""

    csr: bytes


@dataclass(frozen=True, slots=True)
class Promote:
    """The next credential was used; make it the current one and end the old."""


@dataclass(frozen=True, slots=True)
class PackageEvent:
    """Journal that a package was installed or failed. `path` is the target path, if it was ours."""

    installed: bool
    name: str
    version: str
    path: str
    hash: bytes
    error: str


@dataclass(frozen=True, slots=True)
class Examine:
    """Make this effective configuration safe to show, keep it, and compare it with what was intended."""

    effective: Mapping[str, ConfigObject] = field(repr=False)
    intended: RemoteConfig | None


@dataclass(frozen=True, slots=True)
class ExamineAgain:
    """Compare what the agent reported last with this, which it says it applied without reporting anew."""

    intended: RemoteConfig


@dataclass(frozen=True, slots=True)
class KeepComponents:
    """Keep the list of what the agent could run."""

    components: Components = field(repr=False)


@dataclass(frozen=True, slots=True)
class Equip:
    """Make these connection settings a complete offer, with the certificate chain that the agent has now."""

    settings: ConnectionSet
    attempt: int
    reports_status: bool
    """Whether the agent says what became of settings."""


Reported: TypeAlias = Examine | ExamineAgain | KeepComponents
"""What is done with what an agent reported at length; where that fails, its words are lost."""

Effect: TypeAlias = Certify | Promote | PackageEvent | Reported | Equip
