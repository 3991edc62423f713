"""What every object store does when nobody else is about: the port, one promise a test."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from storage.errors import AlreadyExistsError, NotFoundError, PreconditionError, TooLargeError
from storage.objects import CHUNK_BYTES, InvalidKeyError, ObjectInfo, ObjectStore
from storage.probe import require_conditional_writes
from tests.contract.object_places import (
    PART_BYTES,
    PLACES,
    fresh,
    moto_server,
)

MINUTE = timedelta(minutes=1)
LONG = bytes(range(256)) * ((PART_BYTES + 4096) // 256)
"""More than one part."""


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(params=PLACES)
def store(request: pytest.FixtureRequest, tmp_path: Path, moto: str) -> Iterator[ObjectStore]:
    with fresh(request.param, tmp_path, moto) as opened:
        yield opened


def streamed(store: ObjectStore, key: str, start: int = 0, length: int | None = None) -> bytes:
    with store.open(key, start, length) as chunks:
        return b"".join(chunks)


def broken(first: bytes, error: BaseException) -> Iterator[bytes]:
    yield first
    raise error


def test_what_was_created_can_be_read(store: ObjectStore) -> None:
    """A new object is read whole, streamed, described and listed, each with the tag its write returned."""
    written = store.create("metadata/1.root.json", b"root")
    assert written == ObjectInfo("metadata/1.root.json", 4, written.etag)
    assert store.read("metadata/1.root.json", 4) == (b"root", written)
    assert streamed(store, "metadata/1.root.json") == b"root"
    assert store.head("metadata/1.root.json") == written
    assert list(store.list("")) == [written]


@pytest.mark.parametrize("body", [b"", b"\0\r\n\xff", bytes(CHUNK_BYTES + 1)], ids=["empty", "odd", "long"])
def test_bodies_come_back_as_they_went(store: ObjectStore, body: bytes) -> None:
    """No byte is added, lost or translated."""
    store.create("body", body)
    assert store.read("body", len(body))[0] == body
    assert streamed(store, "body") == body


def test_a_key_is_created_once(store: ObjectStore) -> None:
    """The second creator is refused and changes nothing, even with equal bytes."""
    first = store.create("key", b"first")
    for body in (b"second", b"first"):
        with pytest.raises(AlreadyExistsError):
            store.create("key", body)
        with pytest.raises(AlreadyExistsError):
            store.create_stream("key", [body])
    assert store.read("key", 100) == (b"first", first)


def test_a_long_stream_does_not_overwrite(store: ObjectStore) -> None:
    """A stream of more than one part is refused at its end, and nothing of it stays."""
    first = store.create("key", b"first")
    with pytest.raises(AlreadyExistsError):
        store.create_stream("key", [LONG])
    assert store.read("key", 100) == (b"first", first)


@pytest.mark.parametrize("chunk_bytes", [1 << 16, PART_BYTES, len(LONG)])
def test_a_stream_arrives_whole(store: ObjectStore, chunk_bytes: int) -> None:
    """However it is cut, a stream becomes one object with the tag that a description repeats."""
    chunks = (LONG[at : at + chunk_bytes] for at in range(0, len(LONG), chunk_bytes))
    written = store.create_stream("targets/long", chunks)
    assert written == ObjectInfo("targets/long", len(LONG), written.etag)
    assert store.head("targets/long") == written
    digest = hashlib.sha256(streamed(store, "targets/long")).digest()
    assert digest == hashlib.sha256(LONG).digest()


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b"a", b""], [b"ab"] * 3])
def test_a_short_stream_is_an_object_like_others(store: ObjectStore, chunks: list[bytes]) -> None:
    """Empty streams and empty chunks are nothing special."""
    store.create_stream("short", chunks)
    assert store.read("short", 100)[0] == b"".join(chunks)


@pytest.mark.parametrize("error", [ConnectionResetError("the sender left"), KeyboardInterrupt()])
@pytest.mark.parametrize("sent", [b"half", LONG], ids=["short", "parts"])
def test_a_stream_that_breaks_leaves_nothing(store: ObjectStore, sent: bytes, error: BaseException) -> None:
    """Whatever the stream raises comes out unchanged, nothing is visible, and the key is still free."""
    with pytest.raises(type(error)) as caught:
        store.create_stream("broken", broken(sent, error))
    assert caught.value is error
    assert list(store.list("")) == []
    with pytest.raises(NotFoundError):
        store.head("broken")
    store.create("broken", b"whole")


def test_replace_changes_what_the_caller_read(store: ObjectStore) -> None:
    """With the current tag the object is replaced, and has the tag that the write returned."""
    before = store.create("pointer", b"1")
    after = store.replace("pointer", b"2, longer", before.etag)
    assert before.etag != after.etag
    assert store.read("pointer", 100) == (b"2, longer", after)
    assert store.head("pointer") == after


def test_replace_refuses_what_has_changed(store: ObjectStore) -> None:
    """With an older or invented tag nothing is changed."""
    before = store.create("pointer", b"1")
    after = store.replace("pointer", b"2", before.etag)
    for tag in (before.etag, "0" * 32, "0" * 64):
        with pytest.raises(PreconditionError):
            store.replace("pointer", b"3", tag)
    assert store.read("pointer", 100) == (b"2", after)


def test_replace_needs_an_object(store: ObjectStore) -> None:
    """What is missing is not created by the way."""
    gone = store.create("pointer", b"1")
    store.delete("pointer")
    for key in ("pointer", "never/there"):
        with pytest.raises(NotFoundError):
            store.replace(key, b"2", gone.etag)
    assert list(store.list("")) == []


@pytest.mark.parametrize("key", ["missing", "missing/below", "folder", "folder/missing"])
def test_what_is_missing_is_said_to_be_missing(store: ObjectStore, key: str) -> None:
    """Reading, streaming and describing raise NotFoundError; a part of other keys is no object."""
    store.create("folder/key", b"")
    for read in (lambda: store.read(key, 100), lambda: streamed(store, key), lambda: store.head(key)):
        with pytest.raises(NotFoundError):
            read()
    with pytest.raises(NotFoundError):
        streamed(store, key, 0, 0)


def test_read_has_a_cap(store: ObjectStore) -> None:
    """An object of exactly the cap is read, one byte more is refused."""
    store.create("key", b"12345")
    assert store.read("key", 5)[0] == b"12345"
    with pytest.raises(TooLargeError):
        store.read("key", 4)


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (0, 10, b"0123456789"),
        (3, None, b"3456789"),
        (3, 4, b"3456"),
        (9, 1, b"9"),
        (3, 0, b""),
        (8, 100, b"89"),
        (10, None, b""),
        (11, 5, b""),
    ],
)
def test_ranges(store: ObjectStore, start: int, length: int | None, expected: bytes) -> None:
    """A range is cut off at the end of the object, and empty past it."""
    store.create("digits", b"0123456789")
    assert streamed(store, "digits", start, length) == expected


def test_a_range_that_is_none_is_refused(store: ObjectStore) -> None:
    """Negative numbers are a mistake of the caller, not a count from the end."""
    store.create("digits", b"0123456789")
    for start, length in ((-1, None), (0, -1)):
        with pytest.raises(ValueError, match="range"):
            streamed(store, "digits", start, length)


def test_a_stream_may_be_left_early(store: ObjectStore) -> None:
    """Whoever has read enough leaves, and the store works on; his own error is not touched."""
    store.create("long", bytes(3 * CHUNK_BYTES))

    def leave() -> None:
        with store.open("long") as chunks:
            next(chunks)
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        leave()
    assert store.head("long").size == 3 * CHUNK_BYTES


def test_list_is_in_the_order_of_keys(store: ObjectStore) -> None:
    """All keys with the prefix, and no other, in the order of their text."""
    keys = ["a-b", "a.b/c", "a/b", "a/c/d", "a0", "ab", "b"]
    for key in reversed(keys):
        store.create(key, key.encode())
    assert [info.key for info in store.list("")] == keys
    assert [info.key for info in store.list("a")] == keys[:-1]
    assert [info.key for info in store.list("a/")] == ["a/b", "a/c/d"]
    assert [info.key for info in store.list("a/c")] == ["a/c/d"]
    assert [info.key for info in store.list("a/c/d")] == ["a/c/d"]
    assert list(store.list("a/c/d/")) == []
    assert list(store.list("../")) == []


def test_delete_removes_and_frees_the_key(store: ObjectStore) -> None:
    """Deleting is done once or often with the same result, and leaves neighbours alone."""
    store.create("a/b", b"1")
    store.create("a/c", b"2")
    for key in ("a/b", "a/b", "a", "never"):
        store.delete(key)
    assert [info.key for info in store.list("")] == ["a/c"]
    store.create("a/b", b"again")


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".hidden", "a\0b", "a b", "ä", "a\\b"],
)
def test_odd_keys_are_refused(store: ObjectStore, key: str) -> None:
    """No method takes a key that a store could understand as something else."""
    for use in (
        lambda: store.create(key, b""),
        lambda: store.create_stream(key, []),
        lambda: store.replace(key, b"", "0"),
        lambda: store.read(key, 1),
        lambda: streamed(store, key),
        lambda: store.head(key),
        lambda: store.delete(key),
        lambda: store.presign_get(key, MINUTE),
        lambda: store.presign_put(key, MINUTE, bytes(32)),
    ):
        with pytest.raises(InvalidKeyError):
            use()


def test_the_store_passes_the_probe(store: ObjectStore) -> None:
    """The probe accepts it, twice, and leaves nothing behind."""
    for nonce in ("one", "two"):
        require_conditional_writes(store, nonce)
    assert list(store.list("")) == []
