"""A package's file as a TUF target: which path it has, and what its `custom` field must say about it.

`custom` repeats in words what the path says by position, and adds the type, which OpAMP needs. The two must
agree: a reader may believe either. A path has one spelling; every other is refused, not normalised.
"""

from collections.abc import Iterable, Mapping

from distribution.domain.package import (
    Artifact,
    Digest,
    PackageType,
    Release,
    TargetPath,
    Version,
)
from distribution.errors import InvalidError

_FIELDS = {"package", "version", "type", "platform"}


def require_target_path(text: str) -> TargetPath:
    """Return the path that `text` spells. Raises InvalidError for any other depth, segment or spelling."""
    path = TargetPath.parse(text)
    if str(path) != text:
        raise InvalidError(f"target path {text!r} is another spelling of {str(path)!r}")
    return path


def custom_of(artifact: Artifact) -> Mapping[str, str]:
    """Return the `custom` field that goes with the artifact's path."""
    return {
        "package": artifact.path.package,
        "version": str(artifact.path.version),
        "type": artifact.type.value,
        "platform": artifact.path.platform,
    }


def artifact_of(path: str, length: int, hashes: Mapping[str, str], custom: object) -> Artifact:
    """Return the artifact that a verified TUF target describes.

    Args:
        path: its target path.
        length: in bytes.
        hashes: exactly one, SHA-256 in lower-case hexadecimal.
        custom: its `custom` field.

    Raises:
        InvalidError: a part does not parse, or `custom` does not agree with the path.
    """
    parsed = require_target_path(path)
    if set(hashes) != {"sha256"}:
        raise InvalidError(f"target {path!r} has the hashes {sorted(hashes)}, expected sha256 alone")
    digest = Digest.from_hex(hashes["sha256"])
    if str(digest) != hashes["sha256"]:
        raise InvalidError(f"digest {hashes['sha256']!r} of target {path!r} is not plain lower case")
    if not isinstance(custom, Mapping) or set(custom) != _FIELDS:
        raise InvalidError(f"custom of target {path!r} does not have exactly the fields {sorted(_FIELDS)}")
    try:
        kind = PackageType(custom["type"])
    except ValueError as exc:
        raise InvalidError(f"target {path!r} has the type {custom['type']!r}") from exc
    artifact = Artifact(parsed, kind, length, digest)
    for name, expected in custom_of(artifact).items():
        if custom[name] != expected:
            raise InvalidError(f"custom {name} of target {path!r} is {custom[name]!r}, expected {expected!r}")
    return artifact


def releases_of(artifacts: Iterable[Artifact]) -> Mapping[tuple[str, Version], Release]:
    """Return one publisher's artifacts as releases, by package and version.

    Raises:
        InvalidError: two files for one platform of a release, or a release with two types.
    """
    found: dict[tuple[str, Version], dict[str, Artifact]] = {}
    for artifact in artifacts:
        path = artifact.path
        release = found.setdefault((path.package, path.version), {})
        if path.platform in release:
            raise InvalidError(
                f"platform {path.platform!r} has two files, {str(release[path.platform].path)!r} "
                f"and {str(path)!r}"
            )
        for other in release.values():
            if other.type is not artifact.type:
                raise InvalidError(
                    f"target {str(path)!r} is {artifact.type.value}, "
                    f"{str(other.path)!r} of the same release is {other.type.value}"
                )
        release[path.platform] = artifact
    return {key: _release(by_platform) for key, by_platform in found.items()}


def _release(by_platform: Mapping[str, Artifact]) -> Release:
    first = next(iter(by_platform.values()))
    return Release(
        first.path.publisher, first.path.package, first.path.version, first.type, dict(by_platform)
    )
