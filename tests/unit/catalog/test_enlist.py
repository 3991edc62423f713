"""Which signed `targets` may be committed."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from distribution.catalog import enlist
from distribution.catalog.delegation import guard_role, target_file
from distribution.catalog.enlist import Enlisted
from distribution.domain.guard import Guard, guard_path
from distribution.domain.package import Version
from distribution.errors import ConflictError, DistributionError, InvalidError, UnverifiedError
from keys.ceremony import delegate
from keys.metadata import Root, Targets, read, sign
from tests.fakes.memory_store import MemoryStore
from tests.fakes.publishing import NOW, YEAR, World, artifact, guard_file, request, role_bytes, signer

PATH = guard_path("acme")


@pytest.fixture
def made() -> World:
    return World()


def signed(made: World, *publishers: tuple[str, tuple[str, ...]]) -> bytes:
    """Return the next targets, delegating to these too."""
    current = made.repository.current().targets_bytes
    root = read(Root, made.root).signed
    delegations = [each for name, packages in publishers for each in request(name, packages).delegations()]
    return delegate(current, delegations, made.targets_signers, root=root, now=NOW)


def altered(raw: bytes, change: Callable[[Targets], None]) -> bytes:
    """Return the targets changed and signed again by the offline keys."""
    targets = read(Targets, raw).signed
    change(targets)
    return sign(targets, [signer("targets-1"), signer("targets-2")])


def first_roles(name: str = "acme") -> dict[str, bytes]:
    asked = request(name, ("otelcol",))
    return {name: asked.release_role, guard_role(name): asked.guard_role}


def accept(
    made: World,
    targets: bytes,
    roles: Mapping[str, bytes] | None = None,
    files: Mapping[str, bytes] | None = None,
    at: timedelta = timedelta(),
) -> Enlisted:
    return enlist.accept(
        made.store,
        made.repository.current(),
        targets,
        roles=first_roles() if roles is None else roles,
        files={PATH: Guard().to_bytes()} if files is None else files,
        now=NOW + at,
    )


def test_a_publisher_is_added_with_both_roles_and_its_guard(made: World) -> None:
    """One change: targets, first roles, and the guard's bytes are in the store."""
    targets = signed(made, ("acme", ("otelcol",)))
    enlisted = accept(made, targets)
    assert [publisher.name for publisher in enlisted.publishers] == ["acme"]
    assert set(enlisted.roles) == {"targets", "acme", "acme-guard"}
    made.repository.commit(enlisted.roles, NOW, based_on=made.repository.current())
    assert made.repository.current().publisher("acme").packages == ("otelcol",)
    assert accept(made, targets) == Enlisted((), {})


def test_a_publisher_is_widened_without_roles(made: World) -> None:
    """More packages for the same keys bring no new role."""
    made.add_publisher()
    enlisted = accept(made, signed(made, ("acme", ("otelcol", "tool"))), {}, {})
    assert set(enlisted.roles) == {"targets"}
    [publisher] = enlisted.publishers
    assert publisher.packages == ("otelcol", "tool")


def test_targets_signed_on_another_version_is_a_conflict(made: World) -> None:
    """Both versions are named."""
    targets = signed(made, ("acme", ("otelcol",)))
    made.add_publisher("other")
    with pytest.raises(ConflictError, match="role targets v2 was submitted, v2 is current"):
        accept(made, targets)


def unsigned(made: World) -> bytes:
    return sign(read(Targets, signed(made, ("acme", ("otelcol",)))).signed, [signer("targets-1")])


def by_the_server(made: World) -> bytes:
    targets = read(Targets, signed(made, ("acme", ("otelcol",)))).signed
    return sign(targets, [signer("snapshot"), signer("timestamp")])


@pytest.mark.parametrize("make", [unsigned, by_the_server])
def test_what_the_offline_keys_did_not_sign_is_refused(made: World, make: Callable[[World], bytes]) -> None:
    """One of two keys, or the server's own: it cannot add a publisher."""
    with pytest.raises(UnverifiedError, match="submitted targets"):
        accept(made, make(made))


def test_expired_targets_are_refused(made: World) -> None:
    """A signature from long ago is not news."""
    with pytest.raises(UnverifiedError, match="expired"):
        accept(made, signed(made, ("acme", ("otelcol",))), at=2 * YEAR)


def loses_the_publisher(targets: Targets) -> None:
    targets.delegations = None


def takes_a_package(targets: Targets) -> None:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    targets.delegations.roles["acme"].paths = ["acme/tool/*/*/*"]


def changes_a_key(targets: Targets) -> None:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    key = signer("stranger").public_key
    targets.delegations.keys[key.keyid] = key
    targets.delegations.roles["acme"].keyids = [key.keyid]


def uses_the_servers_key(targets: Targets) -> None:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    key = signer("snapshot").public_key
    targets.delegations.keys[key.keyid] = key
    targets.delegations.roles["acme"].keyids = [key.keyid]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (loses_the_publisher, "no longer delegate to publisher 'acme'"),
        (takes_a_package, "take package 'otelcol' from publisher 'acme'"),
        (changes_a_key, "give publisher 'acme' the keys"),
        (uses_the_servers_key, "is listed for both snapshot and acme"),
    ],
)
def test_what_publishers_have_is_not_taken(
    made: World, change: Callable[[Targets], None], words: str
) -> None:
    """Even the offline keys' signature does not excuse it: it is a mistake here."""
    made.add_publisher()
    with pytest.raises(UnverifiedError, match=words):
        accept(made, altered(signed(made), change), {}, {})


FIRST = first_roles()
RELEASE = "acme/otelcol/1.0.0/any/otelcol"


@pytest.mark.parametrize(
    ("roles", "files", "error"),
    [
        ({}, None, InvalidError),
        ({**FIRST, "other": b""}, None, InvalidError),
        (None, {}, InvalidError),
        (None, {PATH: Guard().to_bytes(), "guard/other/guard.json": b""}, InvalidError),
        (None, {PATH: b"other bytes"}, UnverifiedError),
        ({**FIRST, "acme": role_bytes("acme", 2, [])}, None, InvalidError),
        ({**FIRST, "acme": role_bytes("acme", 1, [], key="stranger")}, None, UnverifiedError),
        ({**FIRST, "acme": role_bytes("acme", 1, [], expires=NOW - YEAR)}, None, UnverifiedError),
        (
            {**FIRST, "acme": role_bytes("acme", 1, [target_file(artifact(RELEASE, b"x"))])},
            None,
            InvalidError,
        ),
        ({**FIRST, "acme-guard": role_bytes("acme-guard", 1, [])}, None, InvalidError),
        (
            {
                **FIRST,
                "acme-guard": role_bytes(
                    "acme-guard", 1, [guard_file("acme", Guard({"otelcol": Version.parse("1.0.0")}))]
                ),
            },
            None,
            UnverifiedError,
        ),
    ],
)
def test_first_roles_and_files_have_to_go_with_it(
    made: World,
    roles: Mapping[str, bytes] | None,
    files: Mapping[str, bytes] | None,
    error: type[DistributionError],
) -> None:
    """None missing, none more, each the first, signed by its key, listing what a first role lists."""
    assert isinstance(made.store, MemoryStore)
    targets = signed(made, ("acme", ("otelcol",)))
    with pytest.raises(error):
        accept(made, targets, roles, files)
    assert made.repository.current().targets.version == 1
