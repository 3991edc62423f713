"""Channels against labels: the complete set, or an error that names both sides."""

import pytest

from distribution.domain.assignment import Channel, desired
from distribution.domain.offer import Offer
from distribution.domain.package import Artifact, Digest, PackageType, Release, TargetPath, Version
from distribution.errors import PolicyError, UnknownError

V1, V2 = Version.parse("1.0.0"), Version.parse("2.0.0")
LINUX = "linux-amd64"


def lookup(publisher: str, package: str, version: Version) -> Release:
    """Every release exists on linux-amd64, but version 9."""
    if str(version) == "9.0.0":
        raise UnknownError("release does not exist")
    path = TargetPath(publisher, package, version, LINUX, package)
    artifact = Artifact(path, PackageType.TOP_LEVEL, 1, Digest(bytes(32)))
    return Release(publisher, package, version, PackageType.TOP_LEVEL, {LINUX: artifact})


def channel(name: str, version: Version = V1, package: str = "otelcol", **selector: str) -> Channel:
    return Channel(name, "acme", package, version, selector=selector)


def versions(offer: Offer) -> dict[str, str]:
    return {package.name: str(package.version) for package in offer.packages}


def test_no_channel_is_an_empty_set() -> None:
    """Nothing is wanted where nobody asked for anything."""
    assert desired({}, LINUX, [], lookup) == Offer(())
    assert desired({}, LINUX, [channel("eu", region="eu")], lookup) == Offer(())


def test_every_package_that_applies_is_in_the_set() -> None:
    """A channel of no terms applies to all, others by their labels."""
    channels = [
        channel("base"),
        channel("addon", V2, "tool", region="eu"),
        channel("us", V2, "x", region="us"),
    ]
    offer = desired({"region": "eu"}, LINUX, channels, lookup)
    assert versions(offer) == {"otelcol": "1.0.0", "tool": "2.0.0"}


def test_order_does_not_matter() -> None:
    """The same channels in any order make the same offer, hash included."""
    channels = [channel("a", V1, "one"), channel("b", V2, "two"), channel("c", V2, "two", ring="0")]
    offers = {
        desired({"ring": "0"}, LINUX, order, lookup).hash for order in (channels, list(reversed(channels)))
    }
    assert len(offers) == 1


def test_more_terms_win() -> None:
    """The channel that says more about the agent is the one that is meant."""
    channels = [channel("base"), channel("canary", V2, ring="0", region="eu"), channel("ring", V1, ring="0")]
    assert versions(desired({"ring": "0", "region": "eu"}, LINUX, channels, lookup)) == {"otelcol": "2.0.0"}


def test_a_tie_is_refused_by_both_names() -> None:
    """Two channels of equal weight are an operator's mistake, not a coin's decision."""
    channels = [channel("eu", region="eu"), channel("canary", V2, ring="0")]
    with pytest.raises(PolicyError, match="'canary' and 'eu' both ship package 'otelcol' by 1 matching"):
        desired({"ring": "0", "region": "eu"}, LINUX, channels, lookup)


def test_a_release_without_the_platform_is_refused() -> None:
    """The set is never sent without one of its packages."""
    with pytest.raises(PolicyError, match="no file for platform 'linux-arm64', only for"):
        desired({}, "linux-arm64", [channel("base"), channel("x", V1, "tool")], lookup)


def test_an_unknown_release_is_an_error() -> None:
    """What the lookup raises reaches the caller."""
    with pytest.raises(UnknownError):
        desired({}, LINUX, [channel("base", Version.parse("9.0.0"))], lookup)


def test_the_downgrade_mark_is_the_channels() -> None:
    """An operator's explicit mark travels with the package."""
    marked = Channel("base", "acme", "otelcol", V1, allow_downgrade=True)
    [package] = desired({}, LINUX, [marked], lookup).packages
    assert package.downgrade is True
    [package] = desired({}, LINUX, [channel("base")], lookup).packages
    assert package.downgrade is False
