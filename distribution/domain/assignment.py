"""Which releases an agent is to hold: the labels an operator or a token gave it, against the channels.

A channel applies to an agent when every term of its selector is one of the agent's labels. Of several
channels that ship one package the one with more terms wins; a tie is refused, by both names, because a coin
must not decide what runs. The result is the complete set or an error: never a part of it, and an empty set
only where no channel applies.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from distribution.domain.offer import Offer, OfferedPackage
from distribution.domain.package import Release, Version
from distribution.errors import PolicyError

Lookup = Callable[[str, str, Version], Release]
"""Returns the verified release of a publisher, package and version; raises where there is none."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A named pointer at a release, for the agents that carry every label of `selector`."""

    name: str
    publisher: str
    package: str
    version: Version
    allow_downgrade: bool = False
    """The operator means this version even where an agent holds a higher one."""
    selector: Mapping[str, str] = field(default_factory=dict)

    def applies_to(self, labels: Mapping[str, str]) -> bool:
        """Say whether an agent with these labels follows this channel."""
        return all(labels.get(name) == value for name, value in self.selector.items())


def desired(labels: Mapping[str, str], platform: str, channels: Iterable[Channel], lookup: Lookup) -> Offer:
    """Return the complete set of packages for an agent. Two agents with equal arguments get equal offers.

    Args:
        labels: the agent's, as the server knows them; never what the agent says of itself.
        platform: `<os>-<arch>` in Go's words.
        channels: all of them; their order does not matter.
        lookup: finds verified releases; what it raises is not caught here.

    Raises:
        PolicyError: two channels tie for a package, or a release has no file for the platform.
    """
    chosen = _choose(channel for channel in channels if channel.applies_to(labels))
    packages = [
        _offered(channel, platform, lookup) for channel in sorted(chosen, key=lambda channel: channel.package)
    ]
    return Offer(tuple(packages))


def _choose(channels: Iterable[Channel]) -> list[Channel]:
    by_package: dict[str, list[Channel]] = {}
    for channel in channels:
        by_package.setdefault(channel.package, []).append(channel)
    return [_most_specific(package, rivals) for package, rivals in by_package.items()]


def _most_specific(package: str, rivals: list[Channel]) -> Channel:
    most = max(len(channel.selector) for channel in rivals)
    best = sorted(
        (channel for channel in rivals if len(channel.selector) == most), key=lambda channel: channel.name
    )
    if len(best) > 1:
        raise PolicyError(
            f"channels {best[0].name!r} and {best[1].name!r} both ship package {package!r} "
            f"by {most} matching labels"
        )
    return best[0]


def _offered(channel: Channel, platform: str, lookup: Lookup) -> OfferedPackage:
    release = lookup(channel.publisher, channel.package, channel.version)
    artifact = release.artifact_for(platform)
    if artifact is None:
        raise PolicyError(
            f"channel {channel.name!r}: release {channel.publisher}/{channel.package}@{channel.version} "
            f"has no file for platform {platform!r}, only for {sorted(release.artifacts)}"
        )
    return OfferedPackage(channel.package, artifact, downgrade=channel.allow_downgrade)
