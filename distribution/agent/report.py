"""What the agent says of itself: one immutable report, computed from what it holds and what it is doing.

Rules: a retry of a package that was refused keeps reporting the refusal until it gets further, so that the
server does not see the state flap; a package on trial is not held yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from distribution.agent.install import failure_of, held
from distribution.agent.rules import Wanted
from distribution.agent.state import State


class Standing(Enum):
    """Where a package stands; the members of OpAMP's `PackageStatusEnum`."""

    INSTALLED = "installed"
    PENDING = "pending"
    INSTALLING = "installing"
    FAILED = "failed"
    DOWNLOADING = "downloading"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An offered package that was refused before anything changed, and when it is looked at again."""

    offer_hash: bytes
    reason: str
    attempts: int
    retry_at: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is."""

    percent: float = 0.0
    bytes_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class PackageReport:
    """One package, in the words of OpAMP's `PackageStatus`."""

    name: str
    standing: Standing
    version: str = ""
    hash: bytes = b""
    offered_version: str = ""
    offered_hash: bytes = b""
    error: str = ""
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The program's health. `since` is when it was started, aware UTC; None if it does not run."""

    well: bool
    status: str
    error: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the agent reports about its packages and its program."""

    packages: tuple[PackageReport, ...]
    offer_hash: bytes
    health: HealthReport
    version: str = ""
    """The version of the program that runs, or would run."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What is going on besides the state: refusals, and the package being prepared."""

    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    preparing: str | None = None
    progress: Progress | None = None


def package_reports(state: State, doing: Doing) -> tuple[PackageReport, ...]:
    """Return a report for every package that is held or offered."""
    offered = state.offer.packages if state.offer else {}
    return tuple(_one(state, doing, name, offered.get(name)) for name in sorted({*offered, *state.healthy}))


def _one(state: State, doing: Doing, name: str, wanted: Wanted | None) -> PackageReport:
    standing, error = _standing(state, doing, name, wanted)
    installed = state.healthy.get(name)
    return PackageReport(
        name=name,
        standing=standing,
        version=installed.version.text if installed else "",
        hash=installed.offer_hash if installed else b"",
        offered_version=wanted.version if wanted else "",
        offered_hash=wanted.hash if wanted else b"",
        error=error,
        progress=doing.progress if standing is Standing.DOWNLOADING else None,
    )


def _standing(state: State, doing: Doing, name: str, wanted: Wanted | None) -> tuple[Standing, str]:
    if state.trial is not None and state.trial.package == name:
        return Standing.INSTALLING, ""
    if wanted is None:
        # Held though not offered: the program itself, or an addon whose removal failed.
        return Standing.INSTALLED, next((each.reason for each in state.failures if each.package == name), "")
    if held(state, wanted):
        return Standing.INSTALLED, ""
    reason = _why_not(state, doing, wanted)
    if reason:
        return Standing.FAILED, reason
    if doing.preparing != name:
        return Standing.PENDING, ""
    return (Standing.DOWNLOADING if doing.progress else Standing.INSTALLING), ""


def _why_not(state: State, doing: Doing, wanted: Wanted) -> str:
    failure = failure_of(state, wanted)
    if failure is not None:
        return failure.reason
    refusal = doing.refusals.get(wanted.name)
    return refusal.reason if refusal is not None and refusal.offer_hash == wanted.hash else ""
