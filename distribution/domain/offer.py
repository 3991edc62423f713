"""What the server wants an agent to hold, as a value, and the hashes that name it on the wire.

The hashes cover what an agent installs and the downgrade mark, never a URL, a header or a date: an
agent must not see a new offer because a link was renewed. OpAMP 5.4: the hashes are opaque to agents.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from distribution.domain.package import Artifact, PackageType, Version

DOWNGRADE_HEADER = "Quartermaster-Downgrade"
"""Header in `DownloadableFile.headers` whose value is the offered version: this downgrade is meant."""


def _hash(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


@dataclass(frozen=True)
class OfferedPackage:
    """One package of an offer; `name` is its key in the `PackagesAvailable` map."""

    name: str
    artifact: Artifact
    downgrade: bool = False
    """The operator means this version even where it is lower than the installed one."""

    @property
    def version(self) -> Version:
        """The offered version."""
        return self.artifact.path.version

    @property
    def type(self) -> PackageType:
        """Top-level or addon."""
        return self.artifact.type

    @cached_property
    def hash(self) -> bytes:
        """`PackageAvailable.hash`, 32 bytes."""
        artifact = self.artifact
        return _hash(
            self.name.encode(),
            artifact.type.value.encode(),
            str(artifact.path).encode(),
            artifact.sha256.raw,
            b"downgrade" if self.downgrade else b"",
        )


@dataclass(frozen=True)
class Offer:
    """The complete set an agent is to hold. An empty set is a decision of an operator, never an error's."""

    packages: tuple[OfferedPackage, ...]

    @cached_property
    def hash(self) -> bytes:
        """`PackagesAvailable.all_packages_hash`, 32 bytes; the order of the packages does not matter."""
        ordered = sorted(self.packages, key=lambda package: package.name)
        return _hash(*(part for package in ordered for part in (package.name.encode(), package.hash)))
