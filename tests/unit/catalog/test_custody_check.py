"""A server that holds more than it may does not start."""

from pathlib import Path

import pytest

from distribution.catalog.custody_check import require_online_keys_only
from keys.custody import write_private_key
from keys.errors import RoleMisuseError
from keys.metadata import Root, Targets
from tests.fakes.publishing import World, signer


@pytest.fixture
def listed() -> tuple[Root, Targets]:
    world = World()
    world.add_publisher()
    current = world.repository.current()
    return current.root, current.targets


def write(folder: Path, name: str) -> Path:
    path = folder / f"{name}.pem"
    write_private_key(path, signer(name)._private_key)
    return path


def check(listed: tuple[Root, Targets], *folders: Path) -> None:
    require_online_keys_only(*listed, signer("snapshot"), signer("timestamp"), folders)


def test_the_servers_own_keys_pass(tmp_path: Path, listed: tuple[Root, Targets]) -> None:
    """Beside keys that no role lists, certificates and anything else."""
    for name in ("snapshot", "timestamp", "tls"):
        write(tmp_path, name)
    (tmp_path / "certificate.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "folder").mkdir()
    check(listed, tmp_path)


@pytest.mark.parametrize("name", ["root-2", "targets-1", "acme", "acme-guard"])
def test_another_roles_key_in_the_folder_is_named(
    tmp_path: Path, listed: tuple[Root, Targets], name: str
) -> None:
    """At any depth, whatever the file is called."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    path = write(deep, name).rename(deep / "100% harmless.txt")
    with pytest.raises(RoleMisuseError, match=f"is key {signer(name).public_key.keyid} of role") as caught:
        check(listed, tmp_path)
    assert str(path) in str(caught.value)


def test_a_private_key_that_cannot_be_told_is_refused(tmp_path: Path, listed: tuple[Root, Targets]) -> None:
    """A key that others may read is not opened, so it might be anyone's."""
    write(tmp_path, "root-1").chmod(0o644)
    with pytest.raises(RoleMisuseError, match="may be any role's key"):
        check(listed, tmp_path)


def test_a_file_that_goes_away_is_no_key(
    tmp_path: Path, listed: tuple[Root, Targets], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read cannot be signed with."""
    (tmp_path / "gone").write_text("x")
    opened = Path.open

    def vanish(path: Path, *args: str) -> object:
        if path.name == "gone":
            raise FileNotFoundError(path)
        return opened(path, *args)

    monkeypatch.setattr(Path, "open", vanish)
    check(listed, tmp_path)


@pytest.mark.parametrize("role", ["root", "targets"])
def test_a_server_key_listed_in_an_offline_role_is_named(listed: tuple[Root, Targets], role: str) -> None:
    """The server could mint, or make minting possible."""
    root, targets = listed
    root.add_key(signer("timestamp").public_key, role)
    with pytest.raises(RoleMisuseError, match=f"server's timestamp key .* is listed for role {role} too"):
        check((root, targets))


def test_a_server_key_listed_for_a_publisher_is_named(listed: tuple[Root, Targets]) -> None:
    """Delegated roles count like any other."""
    root, targets = listed
    targets.add_key(signer("snapshot").public_key, "acme")
    with pytest.raises(RoleMisuseError, match=r"server's snapshot key .* is listed for role acme too"):
        check((root, targets))


def test_a_server_key_in_its_sisters_place_is_refused(listed: tuple[Root, Targets]) -> None:
    """Snapshot and timestamp are two keys."""
    with pytest.raises(RoleMisuseError, match=r"server's snapshot key .* is listed for role timestamp too"):
        require_online_keys_only(*listed, signer("timestamp"), signer("snapshot"), ())


def test_a_server_key_that_nothing_lists_is_refused(listed: tuple[Root, Targets]) -> None:
    """It would sign what no client accepts."""
    with pytest.raises(RoleMisuseError, match=r"server's snapshot key .* is not listed for role snapshot"):
        require_online_keys_only(*listed, signer("stranger"), signer("timestamp"), ())
