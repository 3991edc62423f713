"""The releases that verify from the pinned root: an immutable view, one for each committed state.

Built by an outsider's eyes (`outsider`), so whatever is found here an agent will be able to verify too. Every
lookup is a dictionary's; a catalogue is shared between threads as it is and replaced as a whole. Where one
publisher's roles do not verify (expired, say) the others' releases stay, and a lookup of its own says why:
an offer is then not made at all, rather than made without them.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from distribution.catalog.current import store_source
from distribution.catalog.delegation import Publisher, artifacts_in, guard_role, guard_target, publishers_of
from distribution.catalog.outsider import Outsider
from distribution.domain.guard import GUARD_MAX_BYTES, Guard, guard_path
from distribution.domain.package import Release, Version
from distribution.domain.target import releases_of
from distribution.errors import InvalidError, UnknownError, UnverifiedError
from storage.objects import ObjectStore

Releases = Mapping[tuple[str, Version], Release]


@dataclass(frozen=True, slots=True)
class Shelf:
    """What one publisher offers: releases by package and version, and its guard."""

    publisher: Publisher
    releases: Releases
    guard: Guard


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One committed state of the repository, verified."""

    snapshot_version: int
    timestamp_version: int
    verified_until: datetime
    """When the first of the metadata this rests on expires, aware UTC. Load again before."""
    shelves: Mapping[str, Shelf] = field(default_factory=dict)
    """By publisher."""
    unverified: Mapping[str, str] = field(default_factory=dict)
    """Publishers whose roles do not verify, and why."""

    @property
    def publishers(self) -> tuple[str, ...]:
        """All publishers, verified or not, in order."""
        return tuple(sorted({*self.shelves, *self.unverified}))

    def find(self, publisher: str, package: str, version: Version) -> Release:
        """Return a release.

        Raises:
            UnknownError: there is no such publisher or release.
            UnverifiedError: the publisher's roles do not verify now.
        """
        release = self._shelf(publisher).releases.get((package, version))
        if release is None:
            raise UnknownError(f"release {publisher}/{package}@{version} does not exist")
        return release

    def versions(self, publisher: str, package: str) -> tuple[Version, ...]:
        """Return the versions of a package, lowest first. Raises as `find`."""
        return tuple(sorted(version for name, version in self._shelf(publisher).releases if name == package))

    def floor(self, publisher: str, package: str) -> Version | None:
        """Return the lowest version that may be newly installed, None for any. Raises as `find`."""
        return self._shelf(publisher).guard.floors.get(package)

    def _shelf(self, publisher: str) -> Shelf:
        if publisher in self.unverified:
            raise UnverifiedError(f"publisher {publisher!r} does not verify: {self.unverified[publisher]}")
        if publisher not in self.shelves:
            raise UnknownError(f"publisher {publisher!r} does not exist")
        return self.shelves[publisher]


def load(store: ObjectStore, root: bytes, now: datetime) -> Catalogue:
    """Return the current state of a repository, verified from the pinned root.

    Args:
        store: the repository's.
        root: the pinned root metadata.
        now: aware UTC.

    Raises:
        UnverifiedError: the top-level metadata does not verify; no part of a catalogue is made of it.
        StorageError: the store cannot answer.
    """
    shelves: dict[str, Shelf] = {}
    unverified: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="outsider-") as folder:
        outsider = Outsider(store_source(store), root, Path(folder), now)
        ends = [
            signed.expires
            for signed in (outsider.root, outsider.timestamp, outsider.snapshot, outsider.targets)
        ]
        for name, publisher in publishers_of(outsider.targets).items():
            try:
                shelves[name] = _shelf(outsider, publisher)
            except (UnverifiedError, InvalidError) as exc:
                unverified[name] = str(exc)
                continue
            ends += [outsider.role(role).expires for role in (name, guard_role(name))]
        return Catalogue(
            outsider.snapshot.version,
            outsider.timestamp.version,
            min(ends),
            MappingProxyType(shelves),
            MappingProxyType(unverified),
        )


def _shelf(outsider: Outsider, publisher: Publisher) -> Shelf:
    releases = releases_of(artifacts_in(publisher, outsider.role(publisher.name)))
    guard_target(publisher.name, outsider.role(guard_role(publisher.name)))
    raw = outsider.read_target(guard_path(publisher.name), GUARD_MAX_BYTES)
    return Shelf(publisher, MappingProxyType(dict(releases)), Guard.parse(raw))
