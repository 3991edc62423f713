"""The seams of the agent's keeper: the disk, the source of packages, the programs of this host."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from distribution.agent.process import Command, Exit
from distribution.agent.report import Progress
from distribution.agent.rules import PackageRule, Wanted
from distribution.agent.state import Installed, State
from distribution.domain.package import Artifact, Version


@dataclass(frozen=True, slots=True)
class Prepared:
    """A verified file, staged on this host's disk."""

    artifact: Artifact
    staged: Path


class Source(Protocol):
    """Where packages come from: whatever it returns was verified from the pinned root."""

    def prepare(
        self,
        rule: PackageRule | None,
        wanted: Wanted,
        installed: Version | None,
        progress: Callable[[Progress], None],
    ) -> Prepared:
        """Verify and download one offered package. Raises DistributionError: refused or not reachable."""
        ...


class Disk(Protocol):
    """The state and the versions; `store.Store` is the one that lasts."""

    def load(self) -> State:
        """Return the state."""
        ...

    def save(self, state: State) -> None:
        """Make `state` the truth, on disk before it returns."""
        ...

    def install(self, artifact: Artifact, staged: Path, offer_hash: bytes) -> Installed:
        """Move a verified file beside the versions."""
        ...

    def path_of(self, installed: Installed) -> Path:
        """Return where an installed file lies."""
        ...

    def intact(self, installed: Installed) -> bool:
        """Whether the installed file still has its digest."""
        ...

    def clean(self, state: State) -> None:
        """Remove what the state does not name."""
        ...


class Child(Protocol):
    """A program that was started."""

    def fileno(self) -> int:
        """Return a descriptor that is readable once it has ended, or -1."""
        ...

    def exit(self) -> Exit | None:
        """Return how it ended, or None while it runs."""
        ...

    def stop(self) -> Exit:
        """End it and all it started."""
        ...


class Starter(Protocol):
    """What starts programs on this host."""

    def start(self, command: Command) -> Child:
        """Start a program. Raises HostError."""
        ...

    def forget(self) -> None:
        """Drop the record of a program that has ended."""
        ...


Submit = Callable[[Callable[[], Prepared]], "Future[Prepared]"]
"""Runs a preparation in another thread."""
