"""What "current" means: what the timestamp reaches, verified from the pinned root."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from distribution.catalog import current as module
from distribution.catalog.current import metadata_key, read_current, read_role, store_source
from distribution.errors import UnknownError, UnverifiedError
from keys.metadata import MetaFile, Root, Snapshot, Timestamp, read, sign
from tests.fakes.memory_store import MemoryStore
from tests.fakes.publishing import NOW, YEAR, World, role_bytes, signer

PATH = "acme/otelcol/1.0.0/linux-amd64/otelcol"


def world() -> tuple[World, dict[str, bytes]]:
    made = World()
    made.add_publisher()
    made.release("acme", {PATH: b"one"})
    assert isinstance(made.store, MemoryStore)
    return made, made.store.bodies


def test_the_state_is_what_the_timestamp_reaches() -> None:
    """Versions, publishers and bytes of one consistent state."""
    made, bodies = world()
    current = read_current(made.store, made.root)
    assert (current.timestamp.version, current.snapshot.version, current.targets.version) == (3, 3, 2)
    assert (current.version_of("acme"), current.version_of("stranger")) == (2, 0)
    assert current.targets_bytes == bodies["metadata/2.targets.json"]
    assert current.publisher("acme").packages == ("otelcol",)
    assert current.holds("acme", bodies["metadata/2.acme.json"])
    assert not current.holds("acme", bodies["metadata/1.acme.json"])
    assert not current.holds("stranger", b"")
    with pytest.raises(UnknownError, match="publisher 'other' does not exist"):
        current.publisher("other")


def test_a_higher_object_is_not_current() -> None:
    """Orphans of every role change nothing."""
    made, bodies = world()
    bodies["metadata/3.acme.json"] = role_bytes("acme", 3, [])
    bodies["metadata/4.snapshot.json"] = b"orphan"
    current = read_current(made.store, made.root)
    assert (current.version_of("acme"), current.snapshot.version) == (2, 3)


def test_a_role_is_read_as_it_is_current() -> None:
    """By signature, version and hash."""
    made, _ = world()
    current = read_current(made.store, made.root)
    assert list(read_role(made.store, current, "acme").targets) == [PATH]
    with pytest.raises(UnknownError, match="role 'stranger' is not in the repository"):
        read_role(made.store, current, "stranger")


def test_an_expired_state_can_still_be_read() -> None:
    """It is a base to sign a new timestamp on; nothing here publishes it."""
    made = World(now=NOW - timedelta(days=30))
    assert read_current(made.store, made.root).timestamp.version == 1


def missing_timestamp(bodies: dict[str, bytes]) -> None:
    del bodies["metadata/timestamp.json"]


def missing_snapshot(bodies: dict[str, bytes]) -> None:
    del bodies["metadata/3.snapshot.json"]


def huge_timestamp(bodies: dict[str, bytes]) -> None:
    bodies["metadata/timestamp.json"] = b" " * 20_000


def forged_timestamp(bodies: dict[str, bytes]) -> None:
    timestamp = read(Timestamp, bodies["metadata/timestamp.json"]).signed
    bodies["metadata/timestamp.json"] = sign(timestamp, [signer("snapshot")])


def altered_snapshot(bodies: dict[str, bytes]) -> None:
    bodies["metadata/3.snapshot.json"] += b" "


def altered_targets(bodies: dict[str, bytes]) -> None:
    bodies["metadata/2.targets.json"] = bodies["metadata/1.targets.json"]


def garbage_timestamp(bodies: dict[str, bytes]) -> None:
    bodies["metadata/timestamp.json"] = b"{}"


def misnumbered_snapshot(bodies: dict[str, bytes]) -> None:
    """The right bytes by hash, but of another version than the timestamp says."""
    raw = bodies["metadata/2.snapshot.json"]
    meta = MetaFile.from_data(3, raw, ["sha256"])
    timestamp = Timestamp(version=4, expires=NOW + YEAR, snapshot_meta=meta)
    bodies["metadata/timestamp.json"] = sign(timestamp, [signer("timestamp")])
    bodies["metadata/3.snapshot.json"] = raw


def snapshot_without_targets(bodies: dict[str, bytes]) -> None:
    raw = sign(Snapshot(version=4, expires=NOW + YEAR, meta={}), [signer("snapshot")])
    meta = MetaFile.from_data(4, raw, ["sha256"])
    timestamp = Timestamp(version=4, expires=NOW + YEAR, snapshot_meta=meta)
    bodies["metadata/timestamp.json"] = sign(timestamp, [signer("timestamp")])
    bodies["metadata/4.snapshot.json"] = raw


@pytest.mark.parametrize(
    "damage",
    [
        missing_timestamp,
        missing_snapshot,
        huge_timestamp,
        forged_timestamp,
        altered_snapshot,
        altered_targets,
        garbage_timestamp,
        misnumbered_snapshot,
        snapshot_without_targets,
    ],
)
def test_damage_is_refused(damage: Callable[[dict[str, bytes]], None]) -> None:
    """Nothing read back is believed because it lies in our own store."""
    made, bodies = world()
    damage(bodies)
    with pytest.raises(UnverifiedError):
        read_current(made.store, made.root)


def next_root(made: World, version: int = 2, keys: tuple[str, ...] = ("root-1", "root-2")) -> bytes:
    root = read(Root, made.root).signed
    root.version = version
    return sign(root, [signer(key) for key in keys])


def test_a_new_root_is_walked_to() -> None:
    """Signed by the old keys and by its own."""
    made, bodies = world()
    bodies["metadata/2.root.json"] = next_root(made)
    assert read_current(made.store, made.root).root.version == 2


@pytest.mark.parametrize(
    ("version", "keys"), [(2, ("root-1",)), (2, ("acme", "targets-1")), (3, ("root-1", "root-2"))]
)
def test_a_root_that_does_not_follow_is_refused(version: int, keys: tuple[str, ...]) -> None:
    """Too few keys, foreign keys, or a version that skips."""
    made, bodies = world()
    bodies["metadata/2.root.json"] = next_root(made, version, keys)
    with pytest.raises(UnverifiedError):
        read_current(made.store, made.root)


def test_an_endless_chain_of_roots_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk from the pin has an end."""
    monkeypatch.setattr(module, "_ROOT_ROTATIONS_MAX", 1)
    made, bodies = world()
    bodies["metadata/2.root.json"] = next_root(made)
    with pytest.raises(UnverifiedError, match="more than 1 versions after the pin"):
        read_current(made.store, made.root)


def test_a_source_shows_the_store_under_its_overlay() -> None:
    """The candidate first, then the store, then nothing."""
    made, bodies = world()
    fetch = store_source(made.store, {"metadata/9.x.json": b"candidate"})
    assert list(fetch("metadata/9.x.json")) == [b"candidate"]
    assert list(fetch(metadata_key("targets", 2))) == [bodies["metadata/2.targets.json"]]
    with pytest.raises(UnknownError):
        fetch("metadata/1.nothing.json")
