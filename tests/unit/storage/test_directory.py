"""The directory store: crashes between any two lines, durability, links, and what lies about."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from storage.directory import DirectoryStore
from storage.errors import (
    AlreadyExistsError,
    NotFoundError,
    PreconditionError,
)
from storage.objects import CHUNK_BYTES, InvalidKeyError, ObjectInfo
from tests.fakes.dying_os import DiedError, DyingOs

Change = Callable[[DirectoryStore], object]


def content(store: DirectoryStore, key: str) -> bytes | None:
    try:
        return store.read(key, 1 << 20)[0]
    except NotFoundError:
        return None


def die_at_each_call(folder: Path, prepare: Change, change: Change) -> list[DirectoryStore]:
    """Run `change` in fresh folders, dead one call later each time; return the stores opened afterwards."""
    reopened = []
    for calls in count():
        root = folder / str(calls)
        store = DirectoryStore(root)
        prepare(store)
        dying = DyingOs(calls)
        try:
            with dying.in_place():
                change(store)
        except DiedError:
            reopened.append(DirectoryStore(root))
            assert list((root / ".staging").iterdir()) == []
        else:
            assert len(dying.done) == calls
            return reopened
    raise AssertionError


def test_a_crash_while_creating_leaves_nothing_or_all(tmp_path: Path) -> None:
    """Whichever call is the last, the object is missing or whole, and creating again ends well."""
    stores = die_at_each_call(tmp_path, lambda _: None, lambda store: store.create("a/b/c", b"new"))
    found = [content(store, "a/b/c") for store in stores]
    assert len(stores) > 10
    assert set(found) == {None, b"new"}
    assert found == sorted(found, key=lambda body: body is not None)
    for store, before in zip(stores, found, strict=True):
        if before is None:
            store.create("a/b/c", b"new")
        else:
            with pytest.raises(AlreadyExistsError):
                store.create("a/b/c", b"new")
        assert content(store, "a/b/c") == b"new"


def test_a_crash_while_replacing_leaves_old_or_new(tmp_path: Path) -> None:
    """Whichever call is the last, the object is the old one or the new one, and no lock stays held."""

    def change(store: DirectoryStore) -> None:
        store.replace("a/pointer", b"new", store.head("a/pointer").etag)

    stores = die_at_each_call(tmp_path, lambda store: store.create("a/pointer", b"old"), change)
    assert {content(store, "a/pointer") for store in stores} == {b"old", b"new"}
    for store in stores:
        assert store.replace("a/pointer", b"after", store.head("a/pointer").etag).size == len(b"after")


def test_a_crash_while_deleting_leaves_all_or_nothing(tmp_path: Path) -> None:
    """Whichever call is the last, the object is whole or gone, and deleting again ends well."""
    stores = die_at_each_call(
        tmp_path, lambda store: store.create("a/b", b"old"), lambda store: store.delete("a/b")
    )
    assert {content(store, "a/b") for store in stores} == {b"old", None}
    for store in stores:
        store.delete("a/b")
        assert content(store, "a/b") is None


@pytest.mark.parametrize("visible", ["link", "replace"])
def test_bytes_are_durable_before_they_are_visible(tmp_path: Path, visible: str) -> None:
    """The file is synced before it gets its name, and the folder after it."""
    store = DirectoryStore(tmp_path)
    before = store.create("pointer", b"1") if visible == "replace" else None
    dying = DyingOs()
    with dying.in_place():
        if before is None:
            store.create("pointer", b"1")
        else:
            store.replace("pointer", b"2", before.etag)
    at = dying.done.index(visible)
    assert "fsync" in dying.done[dying.done.index("write") : at]
    assert dying.done[at + 1] == "fsync"


def test_the_loser_of_a_create_makes_the_winner_durable(tmp_path: Path) -> None:
    """Whoever hears "exists" may build on it, so the winner's name is synced first."""
    store = DirectoryStore(tmp_path)
    store.create("key", b"first")
    dying = DyingOs()
    with dying.in_place(), pytest.raises(AlreadyExistsError):
        store.create("key", b"second")
    assert dying.done[dying.done.index("link") + 1] == "fsync"


def test_names_that_are_no_keys_are_not_listed(tmp_path: Path) -> None:
    """What somebody left in the folder under another kind of name is passed over."""
    store = DirectoryStore(tmp_path)
    (tmp_path / "odd name").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"")
    store.create("key", b"")
    assert [info.key for info in store.list("")] == ["key"]


def test_a_key_below_a_key_is_refused(tmp_path: Path) -> None:
    """`a` and `a/b` do not stand beside each other, whichever came first."""
    store = DirectoryStore(tmp_path)
    store.create("a", b"")
    with pytest.raises(InvalidKeyError):
        store.create("a/b", b"")
    store.delete("a")
    store.create("a/b", b"")
    with pytest.raises(InvalidKeyError):
        store.create("a", b"")


def test_below_an_object_there_is_none(tmp_path: Path) -> None:
    """A key that goes on behind an object is missing, and deleting it leaves the object alone."""
    store = DirectoryStore(tmp_path)
    store.create("a", b"1")
    with pytest.raises(NotFoundError):
        store.head("a/b")
    store.delete("a/b")
    assert content(store, "a") == b"1"


def test_a_folder_removed_while_it_is_listed_is_left_out(tmp_path: Path) -> None:
    """Listing does not fail because somebody removes a whole folder."""
    store = DirectoryStore(tmp_path)
    first = store.create("a", b"")
    store.create("b/c", b"")
    listed = store.list("")
    seen = [next(listed)]
    store.delete("b/c")
    (tmp_path / "b").rmdir()
    assert [*seen, *listed] == [first]


def test_a_folder_removed_by_hand_is_made_again(tmp_path: Path) -> None:
    """The store does not rely on what it made before."""
    store = DirectoryStore(tmp_path)
    store.create("a/b", b"1")
    (tmp_path / "a" / "b").unlink()
    (tmp_path / "a").rmdir()
    assert list(store.list("a/")) == []
    store.create("a/b", b"2")
    assert content(store, "a/b") == b"2"


def test_a_file_altered_by_hand_has_another_tag(tmp_path: Path) -> None:
    """Small or large, the tag follows the content: a stale one replaces nothing."""
    store = DirectoryStore(tmp_path)
    for key, size in (("small", 10), ("large", CHUNK_BYTES + 1)):
        written = store.create(key, bytes(size))
        assert store.head(key) == store.head(key) == written
        with (tmp_path / key).open("r+b") as file:
            file.write(b"!")
        assert store.head(key).etag != written.etag
        with pytest.raises(PreconditionError):
            store.replace(key, b"mine", written.etag)


def test_only_so_many_tags_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of tags does not grow with the store, and what was forgotten is hashed again."""
    monkeypatch.setattr("storage.directory._REMEMBERED_TAGS", 2)
    store = DirectoryStore(tmp_path)
    written = [store.create(f"large-{number}", bytes([number]) * CHUNK_BYTES) for number in range(4)]
    assert [store.head(info.key) for info in written] == written
    assert [store.head(info.key) for info in written] == written
    assert len(store._tags._known) == 2


def test_an_object_deleted_while_it_is_listed_is_left_out(tmp_path: Path) -> None:
    """Listing does not fail because somebody deletes."""
    store = DirectoryStore(tmp_path)
    first, _, third = (store.create(key, b"") for key in ("a", "b", "c"))
    listed = store.list("")
    seen: list[ObjectInfo] = [next(listed)]
    store.delete("b")
    assert [*seen, *listed] == [first, third]
