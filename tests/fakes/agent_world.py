"""An agent without a server: a real folder, a fake clock, a repository in memory, offers by hand."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from distribution.agent import config
from distribution.agent.health import Checked
from distribution.agent.host import Host
from distribution.agent.keeper import Keeper
from distribution.agent.packages import VerifiedPackages
from distribution.agent.ports import Disk, Prepared, Starter
from distribution.agent.report import PackageReport, Report
from distribution.agent.rules import Wanted, WantedSet
from distribution.agent.store import Store
from distribution.agent.watch import Watch
from distribution.domain.offer import Offer, OfferedPackage
from distribution.domain.package import Artifact, Digest, PackageType, TargetPath
from tests.fakes.tuf_repository import BASE_URL, RepositoryFetcher, TufRepository

HOST_CONFIGURATION = """
[program]
package = "collector"
command = ["{program}", "{package.plugin}"]

[health]
interval_seconds = 1

[trial]
seconds = 5
start_seconds = 20
interruptions = 3

[packages.collector]
target = "acme/collector/{version}/linux-amd64/collector"

[packages.plugin]
target = "acme/plugin/{version}/any/plugin.so"
type = "addon"
"""

STEPS_MAX = 400


def path_of(version: str, package: str = "collector") -> str:
    """Return the target path of a release of this world."""
    place = {"collector": "linux-amd64/collector", "plugin": "any/plugin.so"}[package]
    return f"acme/{package}/{version}/{place}"


class AgentWorld:
    """One host. `restart` begins a new life of the agent on the same folder and machine."""

    def __init__(
        self,
        root: Path,
        repository: TufRepository,
        starter: Starter,
        *,
        ask: Callable[[], Checked] = lambda: Checked(well=True),
        wrap: Callable[[Disk], Disk] = lambda disk: disk,
        configuration: str = HOST_CONFIGURATION,
    ) -> None:
        self.root = root
        self.repository = repository
        self.fetcher = RepositoryFetcher(repository)
        self.starter = starter
        self.ask = ask
        self.time = 1000.0
        self.config = config.parse(configuration)
        self.store = Store(root)
        self._wrap = wrap
        self.keeper = self._keeper()

    def _keeper(self) -> Keeper:
        watch = Watch(
            self.starter,
            self._look,
            health=self.config.health,
            trial=self.config.trial,
            monotonic=lambda: self.time,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )
        source = VerifiedPackages(
            BASE_URL,
            self.repository.root,
            self.fetcher,
            metadata=self.root / "tuf",
            staging_file=self.store.staging_file,
        )
        self.host = Host(self.config, self._wrap(self.store), watch, environment={})
        return Keeper(
            self.config,
            self.host,
            source,
            submit=at_once,
            monotonic=lambda: self.time,
            wake=lambda: None,
        )

    def _look(self) -> Checked:
        return self.ask()

    def restart(self) -> None:
        """Begin a new life: nothing is remembered but the folder."""
        self.keeper = self._keeper()

    def offered(self, version: str, package: str = "collector", *, downgrade: bool = False) -> OfferedPackage:
        """Return the honest offer of a release that the repository holds."""
        path = path_of(version, package)
        target = self.repository.release.targets[path]
        artifact = Artifact(
            TargetPath.parse(path),
            PackageType(target.custom["type"]),
            target.length,
            Digest.from_hex(target.hashes["sha256"]),
        )
        return OfferedPackage(package, artifact, downgrade)

    def wanted(self, *offered: OfferedPackage) -> WantedSet:
        """Return these packages as an agent reads them from the wire."""
        offer = Offer(offered)
        return WantedSet({each.name: as_wanted(each) for each in offered}, offer.hash)

    def offer(self, *offered: OfferedPackage) -> None:
        """Hand an honest offer to the agent."""
        self.keeper.offer(self.wanted(*offered))

    def offer_instead(self, offered: OfferedPackage, **lies: object) -> None:
        """Hand an offer to the agent in which some of the server's words are changed."""
        lie = replace(as_wanted(offered), **{"hash": b"h" * 32, **lies})  # type: ignore[arg-type]
        self.keeper.offer(WantedSet({lie.name: lie}, b"a" * 32))

    def until(self, reached: Callable[[], bool]) -> None:
        """Step, moving the clock as the keeper asks, until something holds."""
        for _ in range(STEPS_MAX):
            due = self.keeper.step()
            if reached():
                return
            self.time += max(0.01, due if due is not None else 1.0)
        raise AssertionError(f"not reached: {self.report}")

    def until_well(self) -> None:
        """Step until the program is healthy."""
        self.until(lambda: self.report.health.well)

    def settle(self) -> None:
        """Step until no package is being worked on."""
        busy = {"installing", "downloading", "pending"}
        self.until(lambda: not any(each.standing.value in busy for each in self.report.packages))

    @property
    def report(self) -> Report:
        """What the agent reports."""
        return self.keeper.report

    def package(self, name: str = "collector") -> PackageReport:
        """Return what the agent reports of one package."""
        return next(each for each in self.report.packages if each.name == name)


def as_wanted(offered: OfferedPackage) -> Wanted:
    """Return an offered package as an agent reads it from the wire."""
    return Wanted(
        name=offered.name,
        type=offered.type,
        version=str(offered.version),
        sha256=offered.artifact.sha256.raw,
        hash=offered.hash,
        downgrade=str(offered.version) if offered.downgrade else None,
    )


def at_once(work: Callable[[], Prepared]) -> "Future[Prepared]":
    """Do the work now, in this thread."""
    future: Future[Prepared] = Future()
    try:
        future.set_result(work())
    except Exception as exc:  # noqa: BLE001 - raised where the result is taken
        future.set_exception(exc)
    return future
