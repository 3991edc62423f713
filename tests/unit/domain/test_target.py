"""TUF targets against artifacts: one spelling, and two statements that agree."""

import pytest

from distribution.domain.package import Artifact, Digest, PackageType, TargetPath, Version
from distribution.domain.target import artifact_of, custom_of, releases_of, require_target_path
from distribution.errors import InvalidError

PATH = "acme/otelcol/1.0.0/linux-amd64/otelcol"
SHA = "ab" * 32
CUSTOM = {"package": "otelcol", "version": "1.0.0", "type": "top_level", "platform": "linux-amd64"}


def made(path: str = PATH, kind: PackageType = PackageType.TOP_LEVEL) -> Artifact:
    return Artifact(TargetPath.parse(path), kind, 3, Digest(bytes(32)))


def test_a_target_reads_as_its_artifact() -> None:
    """Path, length, digest and custom make one value, and `custom_of` writes it back."""
    artifact = artifact_of(PATH, 3, {"sha256": SHA}, CUSTOM)
    assert artifact == Artifact(TargetPath.parse(PATH), PackageType.TOP_LEVEL, 3, Digest.from_hex(SHA))
    assert custom_of(artifact) == CUSTOM


@pytest.mark.parametrize(
    "path",
    [
        "acme/otelcol/v1.0.0/linux-amd64/otelcol",
        "acme/otelcol/1.0.0/linux-amd64/../otelcol",
        "acme/../1.0.0/linux-amd64/otelcol",
        "/acme/otelcol/1.0.0/linux-amd64/otelcol",
        "acme/otelcol/1.0.0/linux-amd64/.hidden",
        "acme/otelcol/1.0.0/linux-amd64/a\0b",
        "acme/otelcol/1.0.0/linux-amd64/",
        "acme/otelcol/1.0.0/linux-amd64",
        "",
    ],
)
def test_another_spelling_is_refused(path: str) -> None:
    """Nothing is normalised into a good path."""
    with pytest.raises(InvalidError):
        require_target_path(path)


@pytest.mark.parametrize(
    ("hashes", "custom"),
    [
        ({"sha256": SHA, "sha512": "00"}, CUSTOM),
        ({"sha512": "00"}, CUSTOM),
        ({"sha256": SHA.upper()}, CUSTOM),
        ({"sha256": "xyz"}, CUSTOM),
        ({"sha256": SHA}, None),
        ({"sha256": SHA}, {**CUSTOM, "more": "x"}),
        ({"sha256": SHA}, {**CUSTOM, "type": "kernel"}),
        ({"sha256": SHA}, {**CUSTOM, "type": ["top_level"]}),
        ({"sha256": SHA}, {**CUSTOM, "package": "other"}),
        ({"sha256": SHA}, {**CUSTOM, "version": "2.0.0"}),
        ({"sha256": SHA}, {**CUSTOM, "platform": "any"}),
    ],
)
def test_parts_that_disagree_are_refused(hashes: dict[str, str], custom: object) -> None:
    """One hash of ours, and a custom field that says what the path says."""
    with pytest.raises(InvalidError):
        artifact_of(PATH, 3, hashes, custom)


def test_artifacts_become_releases() -> None:
    """Files of one version are one release, by platform."""
    linux, anywhere = made(), made("acme/otelcol/1.0.0/any/otelcol")
    other = made("acme/otelcol/1.1.0/linux-amd64/otelcol")
    found = releases_of([linux, anywhere, other])
    assert set(found) == {("otelcol", Version.parse("1.0.0")), ("otelcol", Version.parse("1.1.0"))}
    release = found["otelcol", Version.parse("1.0.0")]
    assert release.artifact_for("linux-amd64") == linux
    assert release.artifact_for("linux-arm64") == anywhere


def test_two_files_for_one_platform_are_refused() -> None:
    """An agent could not know which one is meant."""
    with pytest.raises(InvalidError, match="has two files"):
        releases_of([made(), made("acme/otelcol/1.0.0/linux-amd64/another")])


def test_a_release_of_two_types_is_refused() -> None:
    """A release is top-level on every platform, or an addon on every one."""
    with pytest.raises(InvalidError, match="of the same release is top_level"):
        releases_of([made(), made("acme/otelcol/1.0.0/any/otelcol", PackageType.ADDON)])
