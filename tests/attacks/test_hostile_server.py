"""A stolen server: it holds every online key (snapshot, timestamp), its own words and every stored byte.

It can choose among releases that a publisher signed and this host accepts. Each attempt at more ends in a
refusal that names the object and both values, and the version that ran goes on running.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2
from tuf.api.metadata import Targets

from distribution.agent.rules import accept
from distribution.domain.offer import DOWNGRADE_HEADER
from distribution.domain.package import Digest, PackageType, Version
from distribution.errors import InvalidError, PolicyError, UnverifiedError
from tests.fakes.agent_world import as_wanted, path_of
from tests.fakes.besieged_agent import Besieged, besieged, program, repository
from tests.fakes.tuf_repository import BASE_URL, TufRepository


@pytest.fixture
def tuf() -> TufRepository:
    return repository()


@pytest.fixture
def agent(tmp_path: Path, tuf: TufRepository) -> Iterator[Besieged]:
    with besieged(tmp_path, tuf) as found:
        yield found


def test_other_bytes_under_the_signed_name(agent: Besieged, tuf: TufRepository) -> None:
    """The server serves other bytes for a signed release: the digests differ."""
    evil = b"#!/bin/sh\nexec evil\n"
    tuf.files[tuf.target_file(path_of("1.1.0"))] = evil
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    signed = tuf.release.targets[path_of("1.1.0")].hashes["sha256"]
    agent.require_refused(f"target {path_of('1.1.0')}", f"{len(evil)} bytes", signed)


def test_other_bytes_and_an_offer_that_agrees_with_them(agent: Besieged, tuf: TufRepository) -> None:
    """The server offers its own digest for a signed version: it is not the signed digest."""
    mine = Digest(b"\x66" * 32)
    agent.hear(agent.lie("1.1.0", lambda offer: setattr(offer.file, "content_hash", mine.raw)))
    signed = tuf.release.targets[path_of("1.1.0")].hashes["sha256"]
    agent.require_refused(f"offered digest is {mine}", f"signed digest is {signed}")


def test_a_release_below_the_floor(agent: Besieged, tuf: TufRepository) -> None:
    """A signed release below its publisher's floor is refused though the server marks the downgrade."""
    tuf.set_floors({"collector": "1.0.0"})
    tuf.publish()
    agent.hear(agent.message(agent.world.offered("0.9.0", downgrade=True)))
    agent.require_refused("version 0.9.0 of package 'collector' is below its floor 1.0.0")


def mark(version: str) -> Callable[[opamp_pb2.PackageAvailable], object]:
    """Return what sets the downgrade mark to a version."""

    def change(offer: opamp_pb2.PackageAvailable) -> None:
        offer.file.headers.headers.add(key=DOWNGRADE_HEADER, value=version)

    return change


def test_a_lower_version_without_the_mark(agent: Besieged) -> None:
    """A lower version whose downgrade nobody marked is refused, naming both versions."""
    agent.hear(agent.message(agent.world.offered("0.9.0")))
    agent.require_refused("0.9.0 is lower than the installed 1.0.0 and carries no downgrade mark")


def test_a_mark_for_another_version(agent: Besieged) -> None:
    """A mark that was meant for another version does not cover this one."""
    agent.hear(agent.lie("0.9.0", mark("0.8.0")))
    agent.require_refused("downgrade mark is for '0.8.0', the offer is '0.9.0'")


def test_the_file_of_another_platform(agent: Besieged, tuf: TufRepository) -> None:
    """Another platform's signed file is not the one at this host's path."""
    theirs = tuf.release.targets["acme/collector/1.1.0/linux-arm64/collector"].hashes["sha256"]
    ours = tuf.release.targets[path_of("1.1.0")].hashes["sha256"]
    agent.hear(agent.lie("1.1.0", lambda offer: setattr(offer.file, "content_hash", bytes.fromhex(theirs))))
    agent.require_refused(f"target {path_of('1.1.0')}", theirs, ours)


def test_a_platform_that_the_description_denies(agent: Besieged, tuf: TufRepository) -> None:
    """A target at this host's path that is signed as another platform's is believed in neither."""
    tuf.add_release(path_of("1.2.0"), program("1.2.0"), platform="linux-arm64")
    tuf.publish()
    agent.hear(agent.message(agent.world.offered("1.2.0")))
    agent.require_refused("custom platform", "'linux-arm64'", "'linux-amd64'")


def test_an_addon_as_the_program(agent: Besieged, tuf: TufRepository) -> None:
    """An addon's signed file offered as the top-level package is not the one at the program's path."""
    addon = tuf.release.targets[path_of("1.1.0", "plugin")].hashes["sha256"]
    agent.hear(agent.lie("1.1.0", lambda offer: setattr(offer.file, "content_hash", bytes.fromhex(addon))))
    agent.require_refused(addon, "signed digest is")


def test_an_addon_signed_at_the_programs_path(agent: Besieged, tuf: TufRepository) -> None:
    """A file that its publisher signed as an addon is not run as the program, wherever it lies."""
    tuf.add_release(path_of("1.2.0"), program("1.2.0"), PackageType.ADDON)
    tuf.publish()
    agent.hear(agent.lie("1.2.0", lambda offer: setattr(offer, "type", opamp_pb2.PackageType_TopLevel)))
    agent.require_refused("is signed as addon, this host accepts top_level")


def test_the_program_offered_as_an_addon(agent: Besieged) -> None:
    """The type in the offer must be the one the host fixed."""
    agent.hear(agent.lie("1.1.0", lambda offer: setattr(offer, "type", opamp_pb2.PackageType_Addon)))
    agent.require_refused("is offered as addon, this host accepts top_level")


def test_a_package_the_host_does_not_accept(agent: Besieged) -> None:
    """A package under a name without a rule is refused; the known one is not removed for it."""
    message = agent.message(agent.world.offered("1.1.0"))
    packages = message.packages_available.packages
    packages["../collector"].CopyFrom(packages.pop("collector"))
    agent.hear(message)
    agent.require_refused("'../collector' is not one of those this host accepts", package="../collector")


@pytest.mark.parametrize(
    "version",
    [
        "..",
        "../1.1.0",
        "/etc/passwd",
        "1.1.0/../../evil",
        "1.1.0\0",
        "1.1.0\n",
        "",
        "latest",
        "1.1.0 ",
        "\uff11.1.0",
    ],
    ids=["dots", "up", "absolute", "path", "nul", "newline", "empty", "word", "space", "wide"],
)
def test_a_version_that_is_a_path(agent: Besieged, version: str) -> None:
    """A version string that is no semantic version never reaches a path, an address or a file name."""
    asked = len(agent.world.fetcher.asked)
    agent.hear(agent.lie("1.1.0", lambda offer: setattr(offer, "version", version)))
    agent.require_refused(f"version {version!r} is not a semantic version")
    assert len(agent.world.fetcher.asked) == asked


def test_a_version_that_nobody_signed(agent: Besieged) -> None:
    """A version without a signed target is refused by the path the host looked for."""
    agent.hear(agent.lie("1.1.0", lambda offer: setattr(offer, "version", "7.0.0")))
    agent.require_refused(f"target {path_of('7.0.0')} is not in the signed metadata")


def test_a_download_address_elsewhere(agent: Besieged) -> None:
    """The address in an offer is never asked: bytes come from the pinned downloads listener."""
    message = agent.lie(
        "1.1.0", lambda offer: setattr(offer.file, "download_url", "https://evil.example/collector")
    )
    agent.hear(message)
    assert agent.world.package().version == "1.1.0"
    assert all(url.startswith(BASE_URL + "/") for url in agent.world.fetcher.asked)


def test_a_file_larger_than_the_host_accepts(agent: Besieged, tuf: TufRepository) -> None:
    """A signed length above the host's own limit is refused before a byte is fetched."""
    tuf.add_release(path_of("1.2.0"), b"x")
    tuf.release.targets[path_of("1.2.0")].length = 1 << 31
    tuf.publish()
    agent.hear(agent.message(agent.world.offered("1.2.0")))
    agent.require_refused("has 2147483648 bytes, this host accepts 1073741824")


def test_bytes_without_end(agent: Besieged, tuf: TufRepository) -> None:
    """A download is cut as soon as it is longer than signed."""
    tuf.files[tuf.target_file(path_of("1.1.0"))] += b"#" * 100_000
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused(f"more than the signed {len(program('1.1.0'))} bytes came")


def test_an_empty_set(agent: Besieged) -> None:
    """An offer of nothing stops nothing: the program is the host's, not the server's to take away."""
    agent.hear(agent.message())
    agent.require_running("1.0.0")


def test_the_error_classes_name_whose_fault_it_is(agent: Besieged, tuf: TufRepository) -> None:
    """What breaks the host's rules is policy, what does not parse is invalid, what is unsigned unverified."""
    rule = agent.world.config.packages["collector"]
    wanted = as_wanted(agent.world.offered("0.9.0"))
    with pytest.raises(PolicyError, match=r"0\.9\.0 is lower than the installed 1\.0\.0"):
        accept(rule, wanted, Version.parse("1.0.0"))
    with pytest.raises(PolicyError, match="not one of those this host accepts"):
        accept(None, wanted, None)
    tuf.release = Targets(version=tuf.release.version, expires=tuf.timestamp.expires)
    tuf.publish()
    source = agent.world.keeper._source
    with pytest.raises(UnverifiedError, match="not in the signed metadata"):
        source.prepare(rule, wanted, None, lambda _: None)
    with pytest.raises(InvalidError, match="digest has 3 bytes"):
        agent.world.keeper._source.prepare(
            rule, type(wanted)(wanted.name, wanted.type, "1.0.0", b"abc", b""), None, lambda _: None
        )
