"""Which of an agent's words about its packages are journalled: each end once, and no more than a share."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from distribution.domain.agent import AgentView, PackageReport, PackagesReport, PackageState, Plan, Report
from distribution.protocol.effects import PackageEvent

NOTES_MAX: Final = 120
"""Package events of one agent that are journalled in an hour; the status shows the rest."""

_NOTES_SPAN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Notes:
    """How many package events were journalled since `since` (aware UTC)."""

    since: datetime
    count: int = 0


def events_of(
    before: AgentView, report: Report, plan: Plan, notes: Notes | None, now: datetime
) -> tuple[tuple[PackageEvent, ...], Notes | None]:
    """Return what is to be journalled of this report, and the share that is used up."""
    if report.packages is None:
        return (), notes
    if notes is None or now >= notes.since + _NOTES_SPAN:
        notes = Notes(now)
    known = before.packages or PackagesReport()
    found = [
        _event(package, plan)
        for package in report.packages.packages
        if _ended(package) and _ended_differently(known.get(package.name), package)
    ]
    kept = tuple(found[: NOTES_MAX - notes.count])
    return kept, Notes(notes.since, notes.count + len(kept)) if kept else notes


def _ended(package: PackageReport) -> bool:
    """Whether the package is installed by an offer, or failed."""
    return package.state is PackageState.FAILED or (
        package.state is PackageState.INSTALLED and bool(package.hash)
    )


def _ended_differently(before: PackageReport | None, now: PackageReport) -> bool:
    if before is None or before.state is not now.state:
        return True
    if now.state is PackageState.INSTALLED:
        return before.hash != now.hash
    return (before.offered_hash, before.error) != (now.offered_hash, now.error)


def _event(package: PackageReport, plan: Plan) -> PackageEvent:
    installed = package.state is PackageState.INSTALLED
    wanted = package.hash if installed else package.offered_hash
    offered = plan.offer.packages if plan.offer is not None else ()
    path = next((str(ours.artifact.path) for ours in offered if ours.hash == wanted), "")
    version = package.version if installed else package.offered_version
    return PackageEvent(installed, package.name, version, path, wanted, package.error)
