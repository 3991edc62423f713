"""A server key that may do more than it should: listed in another role, or a stranger's key on the server.

Whoever steals such a server could mint. So it is refused by name where it would come in, and again at start.
"""

from pathlib import Path

import pytest

from distribution.catalog import enlist
from distribution.catalog.catalogue import load
from distribution.catalog.custody_check import require_online_keys_only
from distribution.catalog.delegation import guard_role
from distribution.catalog.request import PublisherRequest, named
from distribution.domain.guard import Guard, guard_path
from distribution.errors import UnverifiedError
from keys.ceremony import delegate
from keys.custody import write_private_key
from keys.errors import RoleMisuseError
from keys.metadata import DelegatedRole, Delegations, Root, Targets, read, sign
from tests.fakes.publishing import NOW, YEAR, World, guard_file, role_bytes, signer

ONLINE = ["snapshot", "timestamp"]


@pytest.fixture
def made() -> World:
    world = World()
    world.add_publisher()
    return world


def keyid(name: str) -> str:
    return signer(name).public_key.keyid


def start(made: World, *folders: Path, root: Root | None = None, targets: Targets | None = None) -> None:
    """Do what a server does with its keys before it serves."""
    current = made.repository.current()
    require_online_keys_only(
        root or current.root, targets or current.targets, signer("snapshot"), signer("timestamp"), folders
    )


@pytest.mark.parametrize("role", ["root", "targets"])
@pytest.mark.parametrize("key", ONLINE)
def test_a_server_key_in_an_offline_role(made: World, key: str, role: str) -> None:
    """A root that lists it, well signed by its holders: the server does not start."""
    root = read(Root, made.root).signed
    root.add_key(signer(key).public_key, role)
    with pytest.raises(RoleMisuseError, match=f"{key} key {keyid(key)} is listed for role {role} too"):
        start(made, root=root)


@pytest.mark.parametrize("role", ["acme", "acme-guard"])
@pytest.mark.parametrize("key", ONLINE)
def test_a_server_key_as_a_publishers(made: World, key: str, role: str) -> None:
    """A delegation to it: the server does not start, and such a delegation is not committed."""
    current = made.repository.current()
    targets = current.targets
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    targets.delegations.keys[keyid(key)] = signer(key).public_key
    targets.delegations.roles[role].keyids = [keyid(key)]
    with pytest.raises(RoleMisuseError, match=f"{key} key {keyid(key)} is listed for role {role} too"):
        start(made, targets=targets)
    targets.version += 1
    body = sign(targets, made.targets_signers)
    with pytest.raises(UnverifiedError, match=f"key {keyid(key)} is listed for both {key} and {role}"):
        enlist.accept(made.store, made.repository.current(), body, roles={}, files={}, now=NOW)


@pytest.mark.parametrize("key", [*ONLINE, "root-1", "targets-2", "acme"])
def test_a_publisher_who_asks_for_a_key_that_is_taken(made: World, key: str) -> None:
    """The offline keys do not sign a delegation to it, though the request proves that he holds it."""
    extra = named("mallory", ("x",))
    asked = PublisherRequest(
        publisher="mallory",
        packages=("x",),
        release_key=signer(key).public_key,
        guard_key=signer("mallory-guard").public_key,
        release_role=role_bytes("mallory", 1, [], key=key, extra=extra),
        guard_role=role_bytes("mallory-guard", 1, [guard_file("mallory", Guard())], extra=extra),
        guard_file=Guard().to_bytes(),
    )
    asked.require_proof()
    current = made.repository.current()
    with pytest.raises(RoleMisuseError, match=f"key {keyid(key)} of role mallory is listed for role"):
        delegate(current.targets_bytes, asked.delegations(), made.targets_signers, root=current.root, now=NOW)


def test_the_same_key_for_two_publishers(made: World) -> None:
    """Signed by the offline keys by mistake, it is still not committed."""
    targets = made.repository.current().targets
    key = signer("acme").public_key
    delegations = targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    roles = {
        **delegations.roles,
        "mallory": DelegatedRole("mallory", [key.keyid], 1, True, ["mallory/x/*/*/*"]),
        guard_role("mallory"): DelegatedRole(
            guard_role("mallory"), [keyid("acme-guard")], 1, True, [guard_path("mallory")]
        ),
    }
    following = Targets(
        version=targets.version + 1, expires=NOW + YEAR, delegations=Delegations(delegations.keys, roles)
    )
    with pytest.raises(UnverifiedError, match="is listed for both acme and mallory"):
        enlist.accept(
            made.store,
            made.repository.current(),
            sign(following, made.targets_signers),
            roles={},
            files={},
            now=NOW,
        )
    assert load(made.store, made.root, NOW).publishers == ("acme",)


@pytest.mark.parametrize("key", ["root-1", "targets-3", "acme", "acme-guard"])
def test_a_key_that_does_not_belong_on_the_server(made: World, tmp_path: Path, key: str) -> None:
    """A holder's or publisher's key file left in the server's folder: it does not start."""
    for name in ONLINE:
        write_private_key(tmp_path / f"{name}.pem", signer(name)._private_key)
    start(made, tmp_path)
    write_private_key(tmp_path / "backup.old", signer(key)._private_key)
    with pytest.raises(RoleMisuseError, match=rf"backup\.old' on the server is key {keyid(key)} of role"):
        start(made, tmp_path)
