"""The folder below the directory store: drafts, locks, links that lead out, errors of the system."""

import os
from pathlib import Path

import pytest

from storage.directory import DirectoryStore
from storage.errors import AlreadyExistsError, UnavailableError, UnsuitableError


def test_a_draft_that_is_being_written_survives_another_opening(tmp_path: Path) -> None:
    """Opening the folder removes dead writers' drafts, and not a live one's."""
    store = DirectoryStore(tmp_path)
    (tmp_path / ".staging" / "orphan").write_bytes(b"left behind")

    def slow() -> object:
        yield b"first half, "
        DirectoryStore(tmp_path)
        assert not (tmp_path / ".staging" / "orphan").exists()
        yield b"second half"

    store.create_stream("key", slow())  # type: ignore[arg-type]
    assert store.read("key", 100)[0] == b"first half, second half"


def test_a_draft_that_was_swept_away_is_made_again(tmp_path: Path) -> None:
    """An opening that comes between the making and the locking of a draft costs another try, no write."""
    names = iter(["swept", "kept"])

    def new_nonce() -> str:
        return next(names)

    store = DirectoryStore(tmp_path, new_nonce)
    real_open = os.open

    def sweeping_open(path: object, *arguments: object, **named: object) -> int:
        descriptor = real_open(path, *arguments, **named)  # type: ignore[arg-type]
        if Path(str(path)).name == "swept" and arguments[0] & os.O_CREAT:  # type: ignore[operator]
            DirectoryStore(tmp_path)
        return int(descriptor)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "open", sweeping_open)
        store.create("key", b"body")
    assert store.read("key", 100)[0] == b"body"


def test_drafts_that_are_always_swept_away_end_in_an_error(tmp_path: Path) -> None:
    """There is a last try."""
    store = DirectoryStore(tmp_path)
    real_open = os.open

    def sweeping_open(path: object, *arguments: object, **named: object) -> int:
        descriptor = real_open(path, *arguments, **named)  # type: ignore[arg-type]
        if Path(str(path)).parent.name == ".staging":
            Path(str(path)).unlink()
        return int(descriptor)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "open", sweeping_open)
        with pytest.raises(UnavailableError, match="swept"):
            store.create("key", b"body")


@pytest.fixture
def store_with_links(tmp_path: Path) -> DirectoryStore:
    """A store in which somebody put links: one to a folder outside, one to a file outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store = DirectoryStore(tmp_path / "store")
    (tmp_path / "store" / "folder").symlink_to(outside)
    (tmp_path / "store" / "file").symlink_to(outside / "secret")
    return store


@pytest.mark.parametrize("key", ["folder/secret", "file"])
def test_links_are_not_followed_out(store_with_links: DirectoryStore, tmp_path: Path, key: str) -> None:
    """Nothing outside is read, listed, replaced or removed."""
    store = store_with_links
    for use in (
        lambda: store.read(key, 100),
        lambda: store.open(key).__enter__(),
        lambda: store.head(key),
        lambda: store.replace(key, b"", "0" * 64),
    ):
        with pytest.raises(UnsuitableError, match="symbolic link"):
            use()
    assert list(store.list("")) == []
    with pytest.raises((UnsuitableError, AlreadyExistsError)):
        store.create(key, b"mine")
    if key == "file":
        store.delete(key)
    else:
        with pytest.raises(UnsuitableError):
            store.delete(key)
    assert (tmp_path / "outside" / "secret").read_bytes() == b"secret"


def test_nothing_is_created_behind_a_link(store_with_links: DirectoryStore, tmp_path: Path) -> None:
    """A linked folder is no folder of the store."""
    with pytest.raises(UnsuitableError):
        store_with_links.create("folder/new", b"mine")
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]


def test_what_is_no_plain_file_is_no_object(tmp_path: Path) -> None:
    """A pipe is refused at once instead of waiting for its other end, and is not listed."""
    store = DirectoryStore(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsuitableError, match="no regular file"):
        store.read("pipe", 1)
    assert list(store.list("")) == []


def test_a_lock_that_is_never_freed_ends_in_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting is bounded."""
    monkeypatch.setattr("storage.folder.LOCK_PATIENCE_SECONDS", 0.01)
    store = DirectoryStore(tmp_path)
    with store._folder.locked("key"), pytest.raises(UnavailableError, match="locked"):
        store.delete("key")


def test_errors_of_the_system_are_ours(tmp_path: Path) -> None:
    """A full disk is an UnavailableError that names the object, and leaves no draft."""
    store = DirectoryStore(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(UnavailableError, match="'key': No space left"):
            store.create("key", b"body")
    assert list((tmp_path / ".staging").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    """A file where the folder should be is said at once."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="file"):
        DirectoryStore(tmp_path / "file")


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Other users of the machine neither read nor write what the store holds."""
    store = DirectoryStore(tmp_path / "store")
    store.create("a/b", b"")
    made = [tmp_path / "store", *(tmp_path / "store").rglob("*")]
    assert [path for path in made if path.stat().st_mode & 0o077] == []
