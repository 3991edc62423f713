"""A stolen operators' token, or a publisher gone bad: signed roles and bytes that must not become current.

Each case ends in a refusal; the repository is byte for byte at the state it was in, and what was published
is still there.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from distribution.catalog import enlist, intake, submission
from distribution.catalog.catalogue import load
from distribution.catalog.delegation import target_file
from distribution.domain.guard import Guard, guard_path
from distribution.domain.package import Digest, PackageType, Version
from distribution.errors import (
    ConflictError,
    DistributionError,
    InvalidError,
    OversizedError,
    UnknownError,
    UnverifiedError,
)
from keys.metadata import DelegatedRole, Delegations, TargetFile, Targets, sign
from tests.fakes.memory_store import MemoryStore
from tests.fakes.publishing import NOW, YEAR, World, artifact, guard_file, role_bytes, signer

V1, V2 = "acme/otelcol/1.0.0/linux-amd64/otelcol", "acme/otelcol/2.0.0/linux-amd64/otelcol"
ONE = target_file(artifact(V1, b"one"))
TWO = target_file(artifact(V2, b"two"))


@pytest.fixture
def made() -> Iterator[World]:
    """Publishers `acme` and `other`; acme's role is at version 2. Afterwards all of it is as it was."""
    world = World()
    world.add_publisher()
    world.add_publisher("other")
    world.release("acme", {V1: b"one"})
    world.upload(V2, b"two")
    assert isinstance(world.store, MemoryStore)
    metadata = {key: body for key, body in world.store.bodies.items() if key.startswith("metadata/")}
    yield world
    after = {key: body for key, body in world.store.bodies.items() if key.startswith("metadata/")}
    assert after == metadata
    release = load(world.store, world.root, NOW).find("acme", "otelcol", Version.parse("1.0.0"))
    assert release.artifacts["linux-amd64"] == artifact(V1, b"one")


def refused(made: World, body: bytes, error: type[DistributionError], words: str, role: str = "acme") -> None:
    with pytest.raises(error, match=words):
        made.submit(role, body)


def at(path: str, body: bytes = b"two", **custom: str) -> TargetFile:
    """Return a target at any path at all, with the custom field its segments would give."""
    parts = [*path.split("/"), "", "", "", "", ""]
    fields = {"package": parts[1], "version": parts[2], "platform": parts[3], "type": "top_level", **custom}
    target = TargetFile.from_data(path, body, ["sha256"])
    target.unrecognized_fields["custom"] = fields
    return target


@pytest.mark.parametrize(
    "path",
    [
        "other/otelcol/2.0.0/linux-amd64/otelcol",
        "acme/tool/2.0.0/linux-amd64/tool",
        "guard/acme/guard.json",
        "acme/otelcol/2.0.0/linux-amd64",
        "acme/otelcol/2.0.0/linux-amd64/sub/otelcol",
    ],
)
def test_a_path_outside_the_delegation(made: World, path: str) -> None:
    """Another publisher's, an undelegated package's, the guard's, and other depths."""
    refused(made, role_bytes("acme", 3, [ONE, at(path)]), InvalidError, "target")


@pytest.mark.parametrize(
    "path",
    [
        "acme/otelcol/2.0.0/linux-amd64/..",
        "acme/otelcol/2.0.0/../otelcol",
        "acme/../2.0.0/linux-amd64/otelcol",
        "../acme/otelcol/2.0.0/otelcol",
        "/acme/otelcol/2.0.0/otelcol",
        "/etc/cron.d/x/y",
        "acme/otelcol/2.0.0/linux-amd64/otel\0col",
        "acme/otelcol/2.0.0\n/linux-amd64/otelcol",
        "acme//2.0.0/linux-amd64/otelcol",
        "acme/otelcol/2.0.0/linux-amd64/.profile",
        "acme/otelcol/v2.0.0/linux-amd64/otelcol",
        "acme/otelcol/2.0.0/linux-amd64/otelcol%2f..",
        "acme\\otelcol\\2.0.0\\linux-amd64\\otelcol",
        "acme/otelcol/2.0.0/linux-amd64/" + "x" * 129,
        "acme/otelcol/\uff12.0.0/linux-amd64/otelcol",
    ],
)
def test_a_name_that_leads_elsewhere(made: World, path: str) -> None:
    """Dots, absolute paths, NUL and newline, empty and hidden names: in a role, and as an upload."""
    with pytest.raises(InvalidError):
        made.submit("acme", role_bytes("acme", 3, [ONE, at(path)]))
    with pytest.raises(InvalidError):
        intake.take(made.store, path, Digest(bytes(32)), [b""], 9)


def test_a_replaced_digest(made: World) -> None:
    """Other bytes under a published path, uploaded and signed as it should be."""
    made.upload(V1, b"evil")
    evil = target_file(artifact(V1, b"evil"))
    refused(made, role_bytes("acme", 3, [evil]), ConflictError, "is published with sha256")


def test_a_replaced_type(made: World) -> None:
    """The same bytes, as an addon from now on."""
    addon = target_file(artifact(V1, b"one", PackageType.ADDON))
    refused(made, role_bytes("acme", 3, [addon]), ConflictError, "says .* as addon")


def test_a_removed_release(made: World) -> None:
    """A list without what is published."""
    refused(made, role_bytes("acme", 3, [TWO]), ConflictError, f"lacks '{V1}'")


def test_missing_bytes(made: World) -> None:
    """A digest that nobody uploaded."""
    ghost = target_file(artifact(V2, b"ghost"))
    refused(made, role_bytes("acme", 3, [ONE, ghost]), UnknownError, "were not uploaded")


def test_altered_bytes(made: World) -> None:
    """Bytes that were changed in the store between upload and signature."""
    assert isinstance(made.store, MemoryStore)
    key = intake.object_key(V2, artifact(V2, b"two").sha256)
    made.store.bodies[key] = b"owt"
    refused(made, role_bytes("acme", 3, [ONE, TWO]), UnverifiedError, "in the store, its role says")


def test_other_bytes_than_declared(made: World) -> None:
    """An upload whose body is not what its header says leaves nothing behind."""
    assert isinstance(made.store, MemoryStore)
    before = set(made.store.bodies)
    digest = artifact("acme/otelcol/3.0.0/any/x", b"good").sha256
    with pytest.raises(UnverifiedError, match="declared was"):
        intake.take(made.store, "acme/otelcol/3.0.0/any/x", digest, [b"ev", b"il"], 9)
    with pytest.raises(OversizedError, match="larger than 3 bytes"):
        intake.take(made.store, "acme/otelcol/3.0.0/any/x", digest, [b"go", b"od"], 3)
    assert set(made.store.bodies) == before


@pytest.mark.parametrize(
    ("version", "error"),
    [(1, ConflictError), (2, ConflictError), (3 + 1_000_000, InvalidError), (2**53, InvalidError)],
)
def test_a_wrong_version(made: World, version: int, error: type[DistributionError]) -> None:
    """Back, the same again with other content, and so far ahead that nobody could follow."""
    refused(made, role_bytes("acme", version, [ONE, TWO]), error, f"role acme v{version} was submitted")


@pytest.mark.parametrize(
    "key", ["other", "acme-guard", "snapshot", "timestamp", "targets-1", "root-1", "stranger"]
)
def test_a_bad_signature(made: World, key: str) -> None:
    """Every key but the publisher's release key, the offline ones included."""
    refused(made, role_bytes("acme", 3, [ONE, TWO], key=key), UnverifiedError, "role acme v3 does not verify")


def test_a_signature_of_another_role(made: World) -> None:
    """A guard's well-signed file handed in as the release role, and the other way round."""
    guard = role_bytes("acme-guard", 3, [guard_file("acme", Guard())])
    refused(made, guard, UnverifiedError, "role acme v3 does not verify")
    release = role_bytes("acme", 3, [ONE, TWO])
    refused(made, release, UnverifiedError, "role acme-guard v3 does not verify", role="acme-guard")


def test_an_expired_role(made: World) -> None:
    """A role that was signed to end, and has."""
    body = role_bytes("acme", 3, [ONE, TWO], expires=NOW - timedelta(seconds=1))
    refused(made, body, UnverifiedError, "role acme v3 expired at")


def by_length(target: TargetFile) -> None:
    target.length = 2


def by_second_hash(target: TargetFile) -> None:
    target.hashes["sha512"] = "00" * 64


def by_platform(target: TargetFile) -> None:
    target.unrecognized_fields["custom"]["platform"] = "any"


def by_type(target: TargetFile) -> None:
    target.unrecognized_fields["custom"]["type"] = "firmware"


@pytest.mark.parametrize("lie", [by_length, by_second_hash, by_platform, by_type])
def test_a_target_that_contradicts_itself(made: World, lie: Callable[[TargetFile], None]) -> None:
    """Length, hashes and custom have to agree with the path and the bytes."""
    target = at(V2)
    lie(target)
    with pytest.raises((InvalidError, UnverifiedError)):
        made.submit("acme", role_bytes("acme", 3, [ONE, target]))


def test_a_role_that_delegates_further(made: World) -> None:
    """A publisher hands its paths to somebody the offline keys never saw."""
    key = signer("stranger").public_key
    role = Targets(version=3, expires=NOW + YEAR, targets={V1: ONE})
    role.delegations = Delegations(
        {key.keyid: key}, {"x": DelegatedRole("x", [key.keyid], 1, False, ["acme/otelcol/*/*/*"])}
    )
    refused(made, sign(role, [signer("acme")]), InvalidError, "delegates further")


@pytest.mark.parametrize("role", ["targets", "root", "snapshot", "timestamp"])
def test_a_role_of_the_repository_itself(made: World, role: str) -> None:
    """A publisher's signature under a role of TUF's own."""
    with pytest.raises(DistributionError):
        made.submit(role, role_bytes("acme", 9, [ONE]))


def test_a_guard_that_lists_packages(made: World) -> None:
    """The guard role can forbid and nothing else."""
    made.upload(guard_path("acme"), Guard().to_bytes())
    body = role_bytes("acme-guard", 2, [guard_file("acme", Guard()), TWO])
    refused(made, body, InvalidError, "expected 'guard/acme/guard.json' alone", role="acme-guard")


def test_a_guard_over_another_publishers_packages(made: World) -> None:
    """A guard at another publisher's path."""
    made.upload(guard_path("other"), Guard().to_bytes())
    body = role_bytes("acme-guard", 2, [guard_file("other", Guard())])
    refused(made, body, InvalidError, "expected 'guard/acme/guard.json' alone", role="acme-guard")


def test_a_publisher_that_the_server_adds(made: World) -> None:
    """A `targets` signed with every key the server has."""
    current = made.repository.current()
    forged = Targets(version=current.targets.version + 1, expires=NOW + YEAR)
    forged.delegations = current.targets.delegations
    body = sign(forged, [signer("snapshot"), signer("timestamp")])
    with pytest.raises(UnverifiedError, match="role targets v4 does not verify"):
        enlist.accept(made.store, current, body, roles={}, files={}, now=NOW)


def test_a_role_accepted_yesterday(made: World) -> None:
    """What was accepted is committed on exactly that state, or not at all."""
    before = made.repository.current()
    body = role_bytes("acme", 3, [ONE, TWO])
    submission.accept(made.store, before, "acme", body, NOW)
    with pytest.raises(UnverifiedError, match="expired"):
        made.repository.commit({"acme": body}, NOW + 2 * YEAR, based_on=before)
