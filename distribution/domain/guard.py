"""What a publisher's guard forbids: the floor, the lowest version of a package that may be newly installed.

The guard is a TUF target of its own role, `guard/<publisher>/guard.json`, so an agent verifies it as it
verifies a package. It can only forbid. A field that this program does not understand would be a prohibition
it cannot honour, so it is refused, never skipped. Falling back to what ran before is not a new install.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from distribution.domain.package import Version, require_name
from distribution.errors import InvalidError, PolicyError

GUARD_MAX_BYTES = 262_144


def guard_path(publisher: str) -> str:
    """Return the target path of a publisher's guard file."""
    return f"guard/{require_name(publisher)}/guard.json"


@dataclass(frozen=True, slots=True)
class Moved:
    """A floor that one guard has elsewhere than the one before it; None is no floor."""

    package: str
    before: Version | None
    after: Version | None

    @property
    def lowered(self) -> bool:
        """Whether versions may be installed again that were forbidden."""
        return self.before is not None and (self.after is None or self.after < self.before)


@dataclass(frozen=True, slots=True)
class Guard:
    """The floors of one publisher, by package. No floor means that nothing is forbidden."""

    floors: Mapping[str, Version] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> "Guard":
        """Read a guard file. Raises InvalidError for anything but the one form this program knows."""
        if len(raw) > GUARD_MAX_BYTES:
            raise InvalidError(f"guard file has {len(raw)} bytes, at most {GUARD_MAX_BYTES} are read")
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError) as exc:
            raise InvalidError("guard file is not JSON") from exc
        if not isinstance(found, dict) or set(found) != {"floors"} or not isinstance(found["floors"], dict):
            raise InvalidError("guard file is not one object with the one field 'floors'")
        return cls({require_name(name): _version(name, text) for name, text in found["floors"].items()})

    def to_bytes(self) -> bytes:
        """Return the guard file's bytes; equal guards give equal bytes."""
        floors = {name: str(version) for name, version in self.floors.items()}
        return json.dumps({"floors": floors}, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    def require_allowed(self, package: str, version: Version) -> None:
        """Refuse a new install below the floor. Raises PolicyError with both versions."""
        floor = self.floors.get(package)
        if floor is not None and version < floor:
            raise PolicyError(f"version {version} of package {package!r} is below its floor {floor}")

    def moved_from(self, before: "Guard") -> tuple[Moved, ...]:
        """Return the floors that are not where they were, by package, in order."""
        names = sorted({*before.floors, *self.floors})
        moves = (Moved(name, before.floors.get(name), self.floors.get(name)) for name in names)
        return tuple(moved for moved in moves if moved.before != moved.after)

    def with_floor(self, package: str, floor: Version, *, allow_lowering_the_floor: bool = False) -> "Guard":
        """Return the guard with this floor.

        Args:
            package: whose floor.
            floor: the lowest version that may be newly installed from now on.
            allow_lowering_the_floor: let versions in again that are forbidden now.

        Raises:
            PolicyError: the floor would be lowered and that was not asked for by name.
        """
        before = self.floors.get(package)
        if before is not None and floor < before and not allow_lowering_the_floor:
            raise PolicyError(f"floor of package {package!r} is {before}, {floor} would lower it")
        return Guard({**self.floors, require_name(package): floor})


def require_package(publisher: str, package: str, packages: Collection[str]) -> None:
    """Refuse a floor that would forbid nothing: the publisher has no such package.

    Raises:
        InvalidError: it names the package and the publisher's packages.
    """
    if package not in packages:
        raise InvalidError(
            f"package {package!r} is none of publisher {publisher!r}, whose packages are {sorted(packages)}"
        )


def _version(package: str, text: object) -> Version:
    if not isinstance(text, str) or str(version := Version.parse(text)) != text:
        raise InvalidError(f"floor {text!r} of package {package!r} is not a plain semantic version")
    return version
