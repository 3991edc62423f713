"""What this host accepts: the pure checks between an offer and an installation.

An offer is a hint. It names a package, a version and a digest; the target path comes from the host's own
template, and everything else from metadata that verified from the pinned root. Each check raises, naming
the object and both values. None of them applies to falling back: the version that last ran healthy may
always run again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from distribution.domain.guard import Guard, guard_path
from distribution.domain.package import Artifact, Digest, PackageType, TargetPath, Version
from distribution.domain.target import artifact_of
from distribution.errors import InvalidError, PolicyError, UnverifiedError

HOLE = "{version}"
DEFAULT_MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class PackageRule:
    """One package this host accepts. Made by `create`."""

    name: str
    target: str
    """Target path with `{version}` as its third segment."""
    type: PackageType
    platform: str
    guard: str
    """Target path of the publisher's guard document."""
    max_bytes: int = DEFAULT_MAX_BYTES

    @classmethod
    def create(
        cls,
        name: str,
        target: str,
        kind: PackageType,
        *,
        guard: str | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> "PackageRule":
        """Check the template. Raises InvalidError."""
        if target.count(HOLE) != 1 or target.split("/")[2:3] != [HOLE]:
            raise InvalidError(f"target {target!r} does not have '{HOLE}' as its third segment, once")
        path = TargetPath.parse(target.replace(HOLE, "0.0.0"))
        return cls(name, target, kind, path.platform, guard or guard_path(path.publisher), max_bytes)

    def path_for(self, version: Version) -> TargetPath:
        """Return the one target path this host accepts for `version`."""
        return TargetPath.parse(self.target.replace(HOLE, version.text))


@dataclass(frozen=True, slots=True)
class Wanted:
    """One package of an offer, as the server stated it: nothing of it is believed yet."""

    name: str
    type: PackageType
    version: str
    sha256: bytes
    hash: bytes
    """The server's name for this package's content; opaque."""
    downgrade: str | None = None
    """Value of the downgrade mark, if there was one."""


@dataclass(frozen=True, slots=True)
class WantedSet:
    """One offer: the complete set, and the server's name for it."""

    packages: Mapping[str, Wanted]
    hash: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """An offered package that passed every check that needs no metadata."""

    rule: PackageRule
    path: TargetPath
    sha256: Digest


def accept(rule: PackageRule | None, wanted: Wanted, installed: Version | None) -> Accepted:
    """Check an offered package against the host's rules.

    Args:
        rule: the host's rule of that name, if it has one.
        wanted: what the server offers.
        installed: the version that is installed and healthy, if any.

    Raises:
        InvalidError: the version or the digest has no such form.
        PolicyError: name, type or direction is not what this host accepts.
    """
    if rule is None:
        raise PolicyError(f"package {wanted.name!r} is not one of those this host accepts")
    if wanted.type is not rule.type:
        raise PolicyError(
            f"package {rule.name} is offered as {wanted.type.value}, this host accepts {rule.type.value}"
        )
    version = Version.parse(wanted.version)
    sha256 = Digest(wanted.sha256)
    _require_meant(rule.name, version, installed, wanted)
    return Accepted(rule, rule.path_for(version), sha256)


def _require_meant(name: str, version: Version, installed: Version | None, wanted: Wanted) -> None:
    if installed is None or not version < installed:
        return
    if wanted.downgrade is None:
        raise PolicyError(
            f"package {name}: {version} is lower than the installed {installed} and carries no downgrade mark"
        )
    if wanted.downgrade != wanted.version:
        raise PolicyError(
            f"package {name}: downgrade mark is for {wanted.downgrade!r}, the offer is {wanted.version!r}"
        )


def require_artifact(accepted: Accepted, length: int, hashes: Mapping[str, str], custom: object) -> Artifact:
    """Check the signed description of the target against the offer and the host.

    Args:
        accepted: the offered package.
        length: signed length in bytes.
        hashes: signed digests by algorithm.
        custom: the target's signed custom object.

    Raises:
        UnverifiedError: the offered digest is not the signed one, or the description is not one of ours.
        PolicyError: the type is not what this host accepts, or the file is larger than it accepts.
    """
    rule, path = accepted.rule, accepted.path
    try:
        artifact = artifact_of(str(path), length, hashes, custom)
    except InvalidError as exc:
        raise UnverifiedError(f"signed description cannot be believed: {exc}") from exc
    if artifact.sha256 != accepted.sha256:
        raise UnverifiedError(
            f"target {path}: offered digest is {accepted.sha256}, signed digest is {artifact.sha256}"
        )
    if artifact.type is not rule.type:
        raise PolicyError(
            f"target {path} is signed as {artifact.type.value}, this host accepts {rule.type.value}"
        )
    if length > rule.max_bytes:
        raise PolicyError(f"target {path} has {length} bytes, this host accepts {rule.max_bytes}")
    return artifact


def require_allowed(guard: str, document: bytes, path: TargetPath) -> None:
    """Refuse a version that its publisher's guard forbids.

    Raises:
        UnverifiedError: the guard cannot be read; a guard that is not understood forbids everything.
        PolicyError: the version is below the floor.
    """
    try:
        floors = Guard.parse(document)
    except InvalidError as exc:
        raise UnverifiedError(f"guard {guard} cannot be read: {exc}") from exc
    floors.require_allowed(path.package, path.version)
