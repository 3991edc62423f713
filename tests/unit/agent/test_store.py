"""Covers distribution/agent/store.py: atomic writes, versions side by side, one agent at a time."""

import os
import stat
from pathlib import Path

import pytest

from distribution.agent.state import State
from distribution.agent.store import Store, digest_of, lock, make_folder, running_agent, write_file
from distribution.domain.package import Artifact, Digest, PackageType, TargetPath
from distribution.errors import HostError

PATH = TargetPath.parse("acme/collector/1.0.0/linux-amd64/collector")


def artifact(data: bytes, folder: Path) -> Artifact:
    """Return the artifact that these bytes are."""
    file = folder / "for-its-digest"
    file.write_bytes(data)
    return Artifact(PATH, PackageType.TOP_LEVEL, len(data), digest_of(file))


def test_a_write_replaces_the_whole_file_with_its_mode(tmp_path: Path) -> None:
    """After a write the file has the new bytes and the mode that was asked for, and nothing is left over."""
    path = tmp_path / "file"
    write_file(path, b"one")
    write_file(path, b"two", 0o644)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """A refusal of the disk is named, and what was there stays."""
    path = tmp_path / "file"
    write_file(path, b"one")
    (tmp_path / ".file.new").mkdir()
    with pytest.raises(HostError, match=r"cannot write .*file: Is a directory"):
        write_file(path, b"two")
    assert path.read_bytes() == b"one"


def test_a_folder_where_a_file_stands_is_refused(tmp_path: Path) -> None:
    """A name that is taken is named."""
    (tmp_path / "a").write_text("file")
    with pytest.raises(HostError, match="cannot create folder"):
        make_folder(tmp_path / "a" / "b")
    assert make_folder(tmp_path / "c" / "d").is_dir()


def test_the_folder_has_one_agent(tmp_path: Path) -> None:
    """A second agent is refused and told who holds the folder; afterwards it is free again."""
    assert running_agent(tmp_path) is None
    with lock(tmp_path):
        assert running_agent(tmp_path) == os.getpid()
        with pytest.raises(HostError, match=f"in use by the agent with pid {os.getpid()}"), lock(tmp_path):
            pass
    assert running_agent(tmp_path) is None
    with lock(tmp_path):
        pass


def test_a_state_that_cannot_be_read_is_no_new_host(tmp_path: Path) -> None:
    """Only a missing state means a new host."""
    store = Store(tmp_path)
    assert store.load() == State()
    (tmp_path / "state.json").mkdir()
    with pytest.raises(HostError, match=r"cannot read .*state.json"):
        store.load()


def test_a_file_is_installed_under_its_version_and_digest(tmp_path: Path) -> None:
    """The same version with other bytes lies beside the first one, and both are executable."""
    store = Store(tmp_path)
    files = []
    for data in (b"one", b"two"):
        what = artifact(data, tmp_path)
        staged = store.staging_file(what)
        staged.write_bytes(data)
        installed = store.install(what, staged, b"h")
        files.append(store.path_of(installed))
        assert store.intact(installed)
        assert not staged.exists()
    assert [file.read_bytes() for file in files] == [b"one", b"two"]
    assert all(os.access(file, os.X_OK) for file in files)


def test_bytes_that_changed_in_staging_are_not_installed(tmp_path: Path) -> None:
    """The digest is computed again from what lies on disk under its final name."""
    store = Store(tmp_path)
    what = artifact(b"one", tmp_path)
    staged = store.staging_file(what)
    staged.write_bytes(b"other")
    with pytest.raises(HostError, match="does not have the digest"):
        store.install(what, staged, b"")


def test_a_download_that_vanished_is_an_error(tmp_path: Path) -> None:
    """A missing staged file is an error of this host, named by its target."""
    store = Store(tmp_path)
    what = artifact(b"one", tmp_path)
    with pytest.raises(HostError, match=r"cannot install acme/collector/1.0.0"):
        store.install(what, store.staging_file(what), b"")


def test_a_missing_file_is_not_intact(tmp_path: Path) -> None:
    """What is not there does not have its digest."""
    store = Store(tmp_path)
    what = Artifact(PATH, PackageType.TOP_LEVEL, 3, Digest(b"x" * 32))
    staged = store.staging_file(what)
    staged.write_bytes(b"one")
    with pytest.raises(HostError, match="digest"):
        store.install(what, staged, b"")
