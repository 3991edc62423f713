"""Packages, releases and artifacts as values.

A *package* is what a publisher ships under one name; a *release* is one version of it; an *artifact* is
the release's file for one platform. An artifact's TUF target path has a fixed depth of five segments,
`<publisher>/<package>/<version>/<os>-<arch>/<file>`, so that one delegation pattern covers a package in
every TUF client. Addons that run anywhere use the platform `any`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import total_ordering

from semver import Version as SemVer

from distribution.errors import InvalidError

ANY_PLATFORM = "any"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PLATFORM = re.compile(r"(?:any|[a-z0-9]{1,20}-[a-z0-9_]{1,20})")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_DIGEST_BYTES = 32
_PATH_SEGMENTS = 5


def require_name(text: str) -> str:
    """Return `text` if it can name a publisher, a package or a channel: a DNS label in lower case.

    Raises:
        InvalidError: it cannot.
    """
    if _NAME.fullmatch(text) is None:
        raise InvalidError(f"name {text!r} is not lower-case letters, digits and inner hyphens, at most 63")
    return text


def require_platform(text: str) -> str:
    """Return `text` if it is `any` or `<os>-<arch>` in Go's words (`linux-amd64`). Raises InvalidError."""
    if _PLATFORM.fullmatch(text) is None:
        raise InvalidError(f"platform {text!r} is neither 'any' nor '<os>-<arch>'")
    return text


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A semantic version (2.0.0), kept as it was written; a leading `v` is read and dropped."""

    text: str
    _parsed: SemVer = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read a version. Raises InvalidError if it is not `MAJOR.MINOR.PATCH[-pre][+build]`."""
        bare = text.removeprefix("v")
        if len(bare) > 64 or not SemVer.is_valid(bare):  # noqa: PLR2004 - a path segment's worth
            raise InvalidError(f"version {text!r} is not a semantic version such as 1.2.3")
        return cls(bare, SemVer.parse(bare))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __lt__(self, other: "Version") -> bool:
        return self._parsed < other._parsed

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256 digest: 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != _DIGEST_BYTES:
            raise InvalidError(f"digest has {len(self.raw)} bytes, SHA-256 has {_DIGEST_BYTES}")

    @classmethod
    def from_hex(cls, text: str) -> "Digest":
        """Read 64 hexadecimal digits. Raises InvalidError."""
        try:
            return cls(bytes.fromhex(text))
        except ValueError as exc:
            raise InvalidError(f"digest {text!r} is not hexadecimal") from exc

    def __str__(self) -> str:
        return self.raw.hex()


class PackageType(Enum):
    """OpAMP 5.4 `PackageType`."""

    TOP_LEVEL = "top_level"
    ADDON = "addon"


@dataclass(frozen=True, slots=True)
class TargetPath:
    """`<publisher>/<package>/<version>/<platform>/<file>`; no segment can leave its folder."""

    publisher: str
    package: str
    version: Version
    platform: str
    file: str

    def __post_init__(self) -> None:
        require_name(self.publisher)
        require_name(self.package)
        require_platform(self.platform)
        if _FILE.fullmatch(self.file) is None:
            raise InvalidError(f"file name {self.file!r} is not plain letters, digits and '._+-'")

    @classmethod
    def parse(cls, text: str) -> "TargetPath":
        """Read a target path. Raises InvalidError for any other depth or a segment that does not fit."""
        parts = text.split("/")
        if len(parts) != _PATH_SEGMENTS:
            raise InvalidError(f"target path {text!r} has {len(parts)} segments, expected {_PATH_SEGMENTS}")
        publisher, package, version, platform, file = parts
        return cls(publisher, package, Version.parse(version), platform, file)

    def __str__(self) -> str:
        return f"{self.publisher}/{self.package}/{self.version}/{self.platform}/{self.file}"

    def hashed(self, digest: Digest) -> str:
        """Return the consistent-snapshot name (TUF 7.2): the digest stands before the file's name."""
        folder = str(self).rsplit("/", 1)[0]
        return f"{folder}/{digest}.{self.file}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One signed file. `length` in bytes."""

    path: TargetPath
    type: PackageType
    length: int
    sha256: Digest


@dataclass(frozen=True, slots=True)
class Release:
    """One signed version of a package: an artifact for each platform."""

    publisher: str
    package: str
    version: Version
    type: PackageType
    artifacts: Mapping[str, Artifact]

    def artifact_for(self, platform: str) -> Artifact | None:
        """Return the platform's artifact, or the one for any platform, or None."""
        return self.artifacts.get(platform) or self.artifacts.get(ANY_PLATFORM)
