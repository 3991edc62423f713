"""Publishers, their two roles, and what those roles reach."""

from collections.abc import Callable

import pytest

from distribution.catalog.delegation import (
    Publisher,
    artifacts_in,
    guard_role,
    guard_target,
    publisher_of,
    publishers_of,
    release_paths,
    require_publisher,
    target_file,
    verifying,
)
from distribution.domain.guard import Guard
from distribution.errors import InvalidError, UnverifiedError
from keys.errors import TrustError
from keys.metadata import DelegatedRole, Delegations, SuccinctRoles, TargetFile, Targets
from tests.fakes.publishing import artifact, guard_file, signer

ACME = Publisher("acme", ("otelcol",), "k1", "k2")
PATH = "acme/otelcol/1.0.0/linux-amd64/otelcol"


@pytest.mark.parametrize(
    "name", ["root", "targets", "snapshot", "timestamp", "guard", "acme-guard", "", "..", "a\0", "a" * 60]
)
def test_a_name_that_is_another_roles_is_refused(name: str) -> None:
    """No publisher's role can be taken for one of TUF's or another publisher's guard."""
    with pytest.raises(InvalidError):
        require_publisher(name)


def test_roles_and_publishers_lead_to_each_other() -> None:
    """Both roles of a publisher name it."""
    assert publisher_of("acme") == publisher_of(guard_role("acme")) == "acme"
    with pytest.raises(InvalidError):
        publisher_of("snapshot")


def test_paths_are_sorted_and_of_fixed_depth() -> None:
    """Each package is one pattern of five segments."""
    assert release_paths("acme", ["b", "a", "b"]) == ("acme/a/*/*/*", "acme/b/*/*/*")


def test_trust_errors_become_refusals() -> None:
    """What keys refuse of somebody's metadata is named and kept as the cause."""
    with pytest.raises(UnverifiedError, match="submitted: bad signature"), verifying("submitted"):
        raise TrustError("bad signature")


def delegating(change: Callable[[Targets], None] | None = None) -> Targets:
    """Return a `targets` with one publisher, changed by the caller."""
    keys = {name: signer(name).public_key for name in ("acme", "acme-guard")}
    roles = {
        "acme": DelegatedRole("acme", [keys["acme"].keyid], 1, True, ["acme/otelcol/*/*/*"]),
        "acme-guard": DelegatedRole(
            "acme-guard", [keys["acme-guard"].keyid], 1, True, ["guard/acme/guard.json"]
        ),
    }
    targets = Targets(delegations=Delegations({key.keyid: key for key in keys.values()}, roles))
    if change is not None:
        change(targets)
    return targets


def roles(targets: Targets) -> dict[str, DelegatedRole]:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    return targets.delegations.roles


def test_publishers_are_read_from_targets() -> None:
    """Name, packages and both keys; none where nothing is delegated."""
    found = publishers_of(delegating())
    assert found == {
        "acme": Publisher(
            "acme", ("otelcol",), signer("acme").public_key.keyid, signer("acme-guard").public_key.keyid
        )
    }
    assert publishers_of(Targets()) == {}


def holds_a_target(targets: Targets) -> None:
    targets.targets["x"] = TargetFile(1, {"sha256": "00"}, "x")


def is_succinct(targets: Targets) -> None:
    key = signer("acme").public_key
    targets.delegations = Delegations(
        {key.keyid: key}, succinct_roles=SuccinctRoles([key.keyid], 1, 4, "bin")
    )


def has_a_foreign_role(targets: Targets) -> None:
    roles(targets)["Bad Name"] = DelegatedRole("Bad Name", ["k"], 1, True, ["x"])


def has_a_misfiled_key(targets: Targets) -> None:
    assert targets.delegations is not None
    targets.delegations.keys["0" * 64] = signer("acme").public_key


def has_a_misspelt_key(targets: Targets) -> None:
    assert targets.delegations is not None
    key = signer("acme").public_key
    targets.delegations.keys[key.keyid] = type(key)(key.keyid, key.keytype, key.scheme, key.keyval, {"x": 1})


def is_not_terminating(targets: Targets) -> None:
    roles(targets)["acme"].terminating = False


def has_two_keys(targets: Targets) -> None:
    roles(targets)["acme"].keyids.append("other")


def has_threshold_two(targets: Targets) -> None:
    roles(targets)["acme"].threshold = 2


def shares_a_key(targets: Targets) -> None:
    roles(targets)["acme-guard"].keyids = list(roles(targets)["acme"].keyids)


def lacks_the_guard(targets: Targets) -> None:
    del roles(targets)["acme-guard"]


def lacks_the_release(targets: Targets) -> None:
    del roles(targets)["acme"]


def guards_more(targets: Targets) -> None:
    roles(targets)["acme-guard"].paths = ["guard/*/guard.json"]


def reaches_nothing(targets: Targets) -> None:
    roles(targets)["acme"].paths = []


def reaches(pattern: str) -> Callable[[Targets], None]:
    def change(targets: Targets) -> None:
        roles(targets)["acme"].paths = [pattern]

    return change


@pytest.mark.parametrize(
    "change",
    [
        holds_a_target,
        is_succinct,
        has_a_foreign_role,
        has_a_misfiled_key,
        has_a_misspelt_key,
        is_not_terminating,
        has_two_keys,
        has_threshold_two,
        shares_a_key,
        lacks_the_guard,
        lacks_the_release,
        guards_more,
        reaches_nothing,
        *(
            reaches(pattern)
            for pattern in (
                "*",
                "acme/*/*/*/*",
                "other/otelcol/*/*/*",
                "acme/otelcol/*/*",
                "acme/otelcol/1/*/*",
            )
        ),
    ],
)
def test_a_delegation_of_another_shape_is_refused(change: Callable[[Targets], None]) -> None:
    """Everything downstream rests on this shape, so nothing else is let in."""
    with pytest.raises(UnverifiedError):
        publishers_of(delegating(change))


def test_a_release_role_lists_artifacts_of_its_own() -> None:
    """What was written by `target_file` is read back."""
    one = artifact(PATH, b"one")
    assert artifacts_in(ACME, Targets(targets={PATH: target_file(one)})) == (one,)


@pytest.mark.parametrize("path", ["other/otelcol/1.0.0/linux-amd64/x", "acme/other/1.0.0/linux-amd64/x"])
def test_a_target_outside_the_delegation_is_refused(path: str) -> None:
    """Another publisher's path and an undelegated package alike."""
    with pytest.raises(InvalidError, match="is outside what role acme may sign"):
        artifacts_in(ACME, Targets(targets={path: target_file(artifact(path, b"x"))}))


def test_a_publishers_role_delegates_no_further() -> None:
    """One parent, one level: nobody hands out what was handed to him."""
    with pytest.raises(InvalidError, match="delegates further"):
        artifacts_in(ACME, delegating())


def test_a_guard_role_lists_its_guard_alone() -> None:
    """Its one target is found; anything beside it, another hash or a delegation is refused."""
    target = guard_file("acme", Guard())
    assert guard_target("acme", Targets(targets={target.path: target})) == target
    two_hashes = TargetFile.from_data(target.path, b"x", ["sha256", "sha512"])
    for bad in (
        Targets(),
        Targets(targets={target.path: target, PATH: target_file(artifact(PATH, b"x"))}),
        Targets(targets={target.path: two_hashes}),
        delegating(),
    ):
        with pytest.raises(InvalidError):
            guard_target("acme", bad)
