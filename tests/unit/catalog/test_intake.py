"""Bytes come in under their own digest, or not at all."""

import hashlib
from collections.abc import Iterable, Iterator

import pytest

from distribution.catalog.intake import object_key, require_stored, take
from distribution.domain.package import Digest, TargetPath
from distribution.errors import InvalidError, OversizedError, UnknownError, UnverifiedError
from storage.errors import AlreadyExistsError
from storage.objects import ObjectInfo
from tests.fakes.memory_store import MemoryStore

PATH = "acme/otelcol/1.0.0/linux-amd64/otelcol"
GUARD = "guard/acme/guard.json"


def digest(body: bytes) -> Digest:
    return Digest(hashlib.sha256(body).digest())


def test_bytes_are_stored_under_their_digest() -> None:
    """The key is the consistent-snapshot name, and our digest and length come back."""
    store = MemoryStore()
    assert take(store, TargetPath.parse(PATH), digest(b"onetwo"), [b"one", b"two"], 6) == (
        digest(b"onetwo"),
        6,
    )
    assert store.bodies == {f"targets/acme/otelcol/1.0.0/linux-amd64/{digest(b'onetwo')}.otelcol": b"onetwo"}


def test_a_guard_file_has_its_own_place() -> None:
    """Three segments, under the publisher's name."""
    assert object_key(GUARD, digest(b"g")) == f"targets/guard/acme/{digest(b'g')}.guard.json"


@pytest.mark.parametrize("path", ["", "guard/acme/other.json", "guard/../guard.json", "a/b/c", "/" + PATH])
def test_a_path_of_another_kind_is_refused(path: str) -> None:
    """Nothing but packages' files and guards has a place in the store."""
    with pytest.raises(InvalidError):
        take(MemoryStore(), path, digest(b"x"), [b"x"], 9)


def test_other_bytes_than_declared_leave_nothing() -> None:
    """A replaced body is refused with both digests and is not visible."""
    store = MemoryStore()
    with pytest.raises(
        UnverifiedError, match=f"has sha256 {digest(b'evil')}, declared was {digest(b'good')}"
    ):
        take(store, PATH, digest(b"good"), [b"evil"], 9)
    assert store.bodies == {}


def test_too_many_bytes_leave_nothing() -> None:
    """The cap holds while streaming, not after."""
    store = MemoryStore()
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1)
            yield b"xxxx"

    with pytest.raises(OversizedError, match="larger than 10 bytes"):
        take(store, PATH, digest(b"x"), endless(), 10)
    assert (store.bodies, len(read)) == ({}, 3)


def test_the_same_again_is_fine() -> None:
    """A retry reads its bytes to their end and changes nothing."""
    store = MemoryStore()
    first = take(store, PATH, digest(b"one"), [b"one"], 9)
    chunks = iter([b"o", b"ne"])
    assert take(store, PATH, digest(b"one"), chunks, 9) == first
    assert list(chunks) == []


def test_other_bytes_under_a_digest_that_is_there_are_refused() -> None:
    """A digest that exists does not excuse from sending its bytes."""
    store = MemoryStore()
    take(store, PATH, digest(b"one"), [b"one"], 9)
    with pytest.raises(UnverifiedError, match="declared was"):
        take(store, PATH, digest(b"one"), [b"two"], 9)


def test_a_store_that_was_tampered_with_is_said() -> None:
    """Bytes that changed under their digest are not taken for the uploaded ones."""
    store = MemoryStore()
    take(store, PATH, digest(b"one"), [b"one"], 9)
    store.bodies[object_key(PATH, digest(b"one"))] = b"eno"
    with pytest.raises(UnverifiedError, match="in the store"):
        take(store, PATH, digest(b"one"), [b"one"], 9)


class RacingStore(MemoryStore):
    """Somebody else finishes the same upload while ours is half read."""

    def create_stream(self, key: str, chunks: Iterable[bytes]) -> ObjectInfo:
        next(iter(chunks))
        self.create(key, b"onetwo")
        raise AlreadyExistsError(key)


def test_two_uploads_of_the_same_both_succeed() -> None:
    """The one that comes second reads on and compares."""
    store = RacingStore()
    assert take(store, PATH, digest(b"onetwo"), [b"one", b"two"], 9) == (digest(b"onetwo"), 6)


def test_what_is_stored_is_read_in_full() -> None:
    """Missing, longer, shorter or other bytes are told apart."""
    store = MemoryStore()
    with pytest.raises(UnknownError, match="were not uploaded"):
        require_stored(store, PATH, digest(b"one"), 3)
    take(store, PATH, digest(b"one"), [b"one"], 9)
    require_stored(store, PATH, digest(b"one"), 3)
    with pytest.raises(UnverifiedError, match="has 3 bytes in the store, its role says 4"):
        require_stored(store, PATH, digest(b"one"), 4)
    store.bodies[object_key(PATH, digest(b"one"))] = b"eno"
    with pytest.raises(UnverifiedError, match="its role says"):
        require_stored(store, PATH, digest(b"one"), 3)
