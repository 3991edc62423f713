"""The first trust and the delegations, made where the offline keys are."""

from pathlib import Path

import pytest

from keys import custody
from keys.ceremony import FirstMetadata, create_tuf, delegate
from keys.errors import CustodyError, RoleMisuseError, TrustError
from keys.metadata import Root, Signer, Snapshot, Targets, Timestamp, read, sign, verify
from keys.roles import Delegation, delegated_roles
from tests.fakes.publishing import NOW, World, request, signer


def folders(tmp_path: Path) -> tuple[Path, Path]:
    offline, online = tmp_path / "offline", tmp_path / "online"
    offline.mkdir()
    online.mkdir()
    return offline, online


def made(tmp_path: Path, threshold: int = 2, holders: int = 3) -> FirstMetadata:
    offline, online = folders(tmp_path)
    return create_tuf(offline=offline, online=online, now=NOW, threshold=threshold, holders=holders)


def test_the_first_metadata_verifies_from_its_root(tmp_path: Path) -> None:
    """Root signs itself; the other three verify from it, at version 1, with consistent snapshots."""
    first = made(tmp_path)
    metadata = read(Root, first.root)
    root = verify(metadata.signed, "root", metadata)
    assert root.consistent_snapshot is True
    assert verify(root, "targets", read(Targets, first.targets)).targets == {}
    snapshot = verify(root, "snapshot", read(Snapshot, first.snapshot))
    timestamp = verify(root, "timestamp", read(Timestamp, first.timestamp))
    snapshot.meta["targets.json"].verify_length_and_hashes(first.targets)
    timestamp.snapshot_meta.verify_length_and_hashes(first.snapshot)


def test_offline_keys_are_two_of_three_in_separate_files(tmp_path: Path) -> None:
    """Root and targets have three keys and a threshold of two, apart from the server's two."""
    first = made(tmp_path)
    root = read(Root, first.root).signed
    assert {name: (len(role.keyids), role.threshold) for name, role in root.roles.items()} == {
        "root": (3, 2),
        "targets": (3, 2),
        "snapshot": (1, 1),
        "timestamp": (1, 1),
    }
    assert [path.name for path in first.offline_keys] == [
        "root-1.pem",
        "root-2.pem",
        "root-3.pem",
        "targets-1.pem",
        "targets-2.pem",
        "targets-3.pem",
    ]
    assert sorted(path.name for path in (tmp_path / "online").iterdir()) == ["snapshot.pem", "timestamp.pem"]


def test_a_single_holder_is_one_of_one(tmp_path: Path) -> None:
    """The throw-away form has one key a role."""
    root = read(Root, made(tmp_path, 1, 1).root).signed
    assert root.roles["targets"].threshold == 1


def test_offline_keys_in_the_servers_folder_are_refused(tmp_path: Path) -> None:
    """The two folders cannot be one, and nothing is written."""
    with pytest.raises(RoleMisuseError, match="cannot be in the server's own folder"):
        create_tuf(offline=tmp_path, online=tmp_path, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_threshold_is_refused(tmp_path: Path) -> None:
    """Four of three cannot sign."""
    with pytest.raises(RoleMisuseError, match="threshold 4 is not between 1 and the 3 holders"):
        made(tmp_path, threshold=4)


def test_keys_that_are_there_are_not_touched(tmp_path: Path) -> None:
    """A second ceremony in the same folder stops at the first key."""
    offline, online = folders(tmp_path)
    create_tuf(offline=offline, online=online, now=NOW)
    before = (offline / "root-1.pem").read_bytes()
    with pytest.raises(CustodyError, match="exists already"):
        create_tuf(offline=offline, online=online, now=NOW)
    assert (offline / "root-1.pem").read_bytes() == before


def test_a_publisher_is_delegated_to_with_files_as_keys(tmp_path: Path) -> None:
    """Two targets keys, opened by URI, sign the next targets with both roles in it."""
    first = made(tmp_path)
    root = read(Root, first.root).signed
    signers = [custody.open_tuf_signer(custody.file_uri(path)) for path in first.offline_keys[3:5]]
    body = delegate(first.targets, request("acme", ("otelcol",)).delegations(), signers, root=root, now=NOW)
    targets = verify(root, "targets", read(Targets, body))
    assert targets.version == 2
    release, guard = delegated_roles(targets)["acme"], delegated_roles(targets)["acme-guard"]
    assert (release.paths, release.threshold, release.terminating) == (["acme/otelcol/*/*/*"], 1, True)
    assert (guard.paths, guard.threshold, guard.terminating) == (["guard/acme/guard.json"], 1, True)


class Ceremony:
    """A world with one publisher, and offline keys at hand."""

    def __init__(self) -> None:
        self.world = World()
        self.world.add_publisher()
        self.root = read(Root, self.world.root).signed

    def delegate(self, *delegations: Delegation, signers: list[Signer] | None = None) -> bytes:
        current = self.world.repository.current().targets_bytes
        ours = self.world.targets_signers if signers is None else signers
        return delegate(current, delegations, ours, root=self.root, now=NOW)


def widened(paths: tuple[str, ...], key: str = "acme") -> Delegation:
    return Delegation("acme", signer(key).public_key, paths)


def test_a_publisher_may_be_given_more_paths() -> None:
    """Its key stays, its paths grow."""
    targets = read(Targets, Ceremony().delegate(widened(("acme/otelcol/*/*/*", "acme/tool/*/*/*")))).signed
    assert delegated_roles(targets)["acme"].paths == ["acme/otelcol/*/*/*", "acme/tool/*/*/*"]


def test_a_publisher_loses_no_path() -> None:
    """Narrowing would make published releases unverifiable."""
    with pytest.raises(RoleMisuseError, match="would lose the path 'acme/otelcol"):
        Ceremony().delegate(widened(("acme/tool/*/*/*",)))


def test_a_publishers_key_is_not_replaced() -> None:
    """Another key under the same name is refused, by both keyids."""
    with pytest.raises(RoleMisuseError, match="is delegated to key"):
        Ceremony().delegate(widened(("acme/otelcol/*/*/*",), key="stranger"))


@pytest.mark.parametrize("key", ["snapshot", "timestamp", "root-1", "targets-3", "acme-guard"])
def test_a_key_of_another_role_is_refused(key: str) -> None:
    """No key signs in two roles, least of all a server's."""
    with pytest.raises(RoleMisuseError, match="is listed for role"):
        Ceremony().delegate(Delegation("other", signer(key).public_key, ("other/x/*/*/*",)))


def test_one_key_for_two_new_roles_is_refused() -> None:
    """Two roles asked for at once cannot share a key either."""
    key = signer("shared").public_key
    with pytest.raises(RoleMisuseError, match="is given to both"):
        Ceremony().delegate(
            Delegation("one", key, ("one/x/*/*/*",)), Delegation("two", key, ("two/x/*/*/*",))
        )


def test_too_few_or_foreign_offline_keys_are_refused() -> None:
    """The threshold of `targets` is checked before anything is signed."""
    delegation = Delegation("other", signer("other").public_key, ("other/x/*/*/*",))
    with pytest.raises(RoleMisuseError, match="needs 2 keys"):
        Ceremony().delegate(delegation, signers=[signer("targets-1")])
    with pytest.raises(RoleMisuseError, match="is not listed for role targets"):
        Ceremony().delegate(delegation, signers=[signer("targets-1"), signer("snapshot")])


def test_targets_that_the_root_does_not_vouch_for_are_not_built_on() -> None:
    """A forged current `targets` is refused before a key is used."""
    ceremony = Ceremony()
    forged = Targets(expires=NOW)
    with pytest.raises(TrustError, match="role targets v1 does not verify"):
        delegate(
            sign(forged, [signer("acme")]), (), ceremony.world.targets_signers, root=ceremony.root, now=NOW
        )
