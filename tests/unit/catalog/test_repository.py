"""Commits: all of a change at once, whoever races and wherever it crashes."""

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.catalog import repository as module
from distribution.catalog import submission
from distribution.catalog.catalogue import load
from distribution.catalog.current import TIMESTAMP_KEY, read_current, store_source
from distribution.catalog.outsider import Outsider
from distribution.catalog.repository import Committed, Repository
from distribution.errors import ConflictError, UnknownError, UnverifiedError
from keys.metadata import Targets, read, sign
from storage.errors import UnavailableError
from storage.objects import ObjectInfo, ObjectStore
from tests.fakes.failing_store import FailingStore
from tests.fakes.memory_store import MemoryStore
from tests.fakes.publishing import NOW, YEAR, World, role_bytes, signer

V1, V2 = "acme/otelcol/1.0.0/linux-amd64/otelcol", "acme/otelcol/2.0.0/linux-amd64/otelcol"


def world(store: ObjectStore | None = None, *publishers: str) -> World:
    made = World(MemoryStore() if store is None else store)
    for name in publishers or ("acme",):
        made.add_publisher(name)
    return made


def paths(made: World, publisher: str = "acme") -> list[str]:
    """Return what a client that knows nothing but the pinned root finds of a publisher."""
    with tempfile.TemporaryDirectory() as folder:
        return sorted(
            Outsider(store_source(made.store), made.root, Path(folder), NOW).role(publisher).targets
        )


def test_a_new_repository_is_verified_and_may_be_finished() -> None:
    """Doing it twice is no error; another repository in the same store is."""
    made = World()
    assert isinstance(made.store, MemoryStore)
    bodies = made.store.bodies
    first = [bodies[f"metadata/{name}.json"] for name in ("1.targets", "1.snapshot", "timestamp")]
    del bodies[TIMESTAMP_KEY]
    for _ in range(2):
        made.another().initialise(*first)
        assert read_current(made.store, made.root).timestamp.version == 1
    with pytest.raises(ConflictError, match=r"'metadata/1\.root\.json' is taken by other bytes"):
        made.__post_init__()


def test_a_commit_is_seen_by_an_outsider() -> None:
    """Role, snapshot and timestamp advance together."""
    made = world()
    assert made.release("acme", {V1: b"one"}) == Committed(3, 3)
    assert paths(made) == [V1]


def test_the_same_commit_again_changes_nothing() -> None:
    """A retry after an answer that was lost."""
    made = world()
    made.upload(V1, b"one")
    body = made.next_release_role("acme", {V1: b"one"})
    first = made.submit("acme", body)
    assert made.submit("acme", body) == first == Committed(3, 3)


def crashing(made: World) -> Callable[[], object]:
    made.upload(V1, b"one")
    body = made.next_release_role("acme", {V1: b"one"})
    return lambda: made.submit("acme", body)


@pytest.mark.parametrize("done_anyway", [False, True])
@pytest.mark.parametrize("write", [1, 2, 3])
def test_a_crash_at_any_write_leaves_old_or_new(write: int, *, done_anyway: bool) -> None:
    """Role, snapshot, timestamp: a client sees one whole state, and the same bytes can be handed in again."""
    store = FailingStore()
    made = world(store)
    commit = crashing(made)
    store.arm(write, done_anyway=done_anyway)
    with pytest.raises(UnavailableError):
        commit()
    expected = [V1] if write == 3 and done_anyway else []
    assert paths(made) == expected
    store.arm(0)
    made.repository = made.another()
    commit()
    assert paths(made) == [V1]


def test_a_commit_is_three_writes() -> None:
    """The crash test above covers every write there is."""
    store = FailingStore()
    commit = crashing(world(store))
    store.arm(0)
    commit()
    assert store.writes == 3


def test_an_orphan_of_a_role_is_a_conflict_that_the_next_version_passes() -> None:
    """Somebody's crash holds version 2; the publisher signs version 3."""
    made = world()
    made.store.create("metadata/2.acme.json", b"orphan")
    made.upload(V1, b"one")
    with pytest.raises(ConflictError, match=r"'metadata/2\.acme\.json' is taken by other bytes"):
        made.submit("acme", made.next_release_role("acme", {V1: b"one"}))
    signed = read(Targets, made.next_release_role("acme", {V1: b"one"})).signed
    made.submit("acme", role_bytes("acme", 3, list(signed.targets.values())))
    assert paths(made) == [V1]


def test_orphans_of_snapshots_are_passed_over() -> None:
    """The snapshot takes the next version that is free."""
    made = world()
    made.store.create("metadata/3.snapshot.json", b"orphan")
    made.store.create("metadata/4.snapshot.json", b"orphan")
    assert made.release("acme", {V1: b"one"}) == Committed(5, 3)
    assert paths(made) == [V1]


class RacingStore(MemoryStore):
    """Lets a test act between what was read and what is written under a key."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Callable[[], object]] = {}

    def create(self, key: str, body: bytes) -> ObjectInfo:
        self._act(key)
        return super().create(key, body)

    def replace(self, key: str, body: bytes, expected_etag: str) -> ObjectInfo:
        self._act(key)
        return super().replace(key, body, expected_etag)

    def _act(self, key: str) -> None:
        self.before.pop(key, lambda: None)()


def test_a_race_of_two_publishers_keeps_both() -> None:
    """Whoever loses the compare-and-set commits on top of the winner."""
    store = RacingStore()
    made = world(store, "acme", "other")
    theirs = "other/otelcol/1.0.0/linux-amd64/otelcol"
    store.before[TIMESTAMP_KEY] = lambda: made.rival().release("other", {theirs: b"x"})
    made.release("acme", {V1: b"one"})
    assert (paths(made), paths(made, "other")) == ([V1], [theirs])


def test_the_timestamp_compared_is_the_one_that_was_read() -> None:
    """A rival that signs the timestamp again while our snapshot is written is not overwritten."""
    store = RacingStore()
    made = world(store)
    made.upload(V1, b"one")
    body = made.next_release_role("acme", {V1: b"one"})
    store.before["metadata/3.snapshot.json"] = lambda: made.another().refresh(NOW + timedelta(hours=7))
    assert made.submit("acme", body) == Committed(4, 4)
    assert paths(made) == [V1]


def test_a_race_for_one_snapshot_is_tried_again() -> None:
    """The free version was taken while we signed it."""
    store = RacingStore()
    made = world(store)
    store.before["metadata/3.snapshot.json"] = lambda: MemoryStore.create(
        store, "metadata/3.snapshot.json", b"x"
    )
    assert made.release("acme", {V1: b"one"}) == Committed(4, 3)


def test_a_race_on_one_role_is_refused_with_both_versions() -> None:
    """Its publisher has to sign again: the server cannot merge what it cannot sign."""
    store = RacingStore()
    made = world(store)
    made.upload(V1, b"one")
    ours = read(Targets, made.next_release_role("acme", {V1: b"one"})).signed
    skipping = role_bytes("acme", 3, list(ours.targets.values()))
    store.before[TIMESTAMP_KEY] = lambda: made.rival().release("acme", {V2: b"two"})
    with pytest.raises(ConflictError, match="role acme v3 was signed on v1, v2 is current"):
        made.submit("acme", skipping)
    assert paths(made) == [V2]


def test_a_role_accepted_on_an_older_state_is_refused() -> None:
    """`based_on` is what the caller looked at, not what is there when the commit begins."""
    made = world()
    current = made.repository.current()
    made.upload(V1, b"one")
    body = made.next_release_role("acme", {V1: b"one"})
    made.release("acme", {V2: b"two"})
    accepted = submission.accept(made.store, current, "acme", body, NOW)
    with pytest.raises(ConflictError, match="role acme v2 was signed on v1, v2 is current"):
        made.repository.commit({"acme": accepted.body}, NOW, based_on=current)


def test_losing_every_race_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit and a refresh give up after a stated number of attempts."""
    monkeypatch.setattr(Repository, "_write", lambda *_: False)
    monkeypatch.setattr(module, "_ATTEMPTS", 2)
    made = World()
    current = made.repository.current()
    targets = sign(Targets(version=2, expires=NOW + YEAR), made.targets_signers)
    with pytest.raises(ConflictError, match="lost 2 races"):
        made.repository.commit({"targets": targets}, NOW, based_on=current)
    with pytest.raises(ConflictError, match="refresh lost 2 races"):
        made.repository.refresh(NOW + timedelta(hours=7))


@pytest.mark.parametrize("role", ["root", "snapshot", "timestamp"])
def test_only_targets_and_publishers_roles_are_committed(role: str) -> None:
    """The others are the server's own, or a ceremony's."""
    made = world()
    with pytest.raises(UnknownError, match=f"role {role} is not one that can be committed"):
        made.repository.commit({role: role_bytes("acme", 9, [])}, NOW, based_on=made.repository.current())


@pytest.mark.parametrize(
    "body",
    [
        role_bytes("acme", 2, [], key="stranger"),
        role_bytes("acme", 2, [], expires=NOW - timedelta(days=1)),
        b"garbage",
    ],
)
def test_what_an_outsider_would_refuse_is_not_written(body: bytes) -> None:
    """Signature and expiry are judged on the candidate, before anything lies in the store."""
    made = world()
    assert isinstance(made.store, MemoryStore)
    before = dict(made.store.bodies)
    with pytest.raises(UnverifiedError):
        made.repository.commit({"acme": body}, NOW, based_on=made.repository.current())
    assert made.store.bodies == before


def test_a_role_that_nobody_delegated_is_not_committed() -> None:
    """A commit cannot bring in a publisher."""
    made = world()
    with pytest.raises(UnverifiedError, match="is not delegated"):
        made.repository.commit(
            {"stranger": role_bytes("stranger", 1, [])}, NOW, based_on=made.repository.current()
        )


def test_the_server_signs_only_with_the_keys_that_root_lists() -> None:
    """Keys of another repository are refused by role before anything is signed."""
    made = world()
    wrong = Repository(made.store, made.root, signer("timestamp"), signer("snapshot"))
    made.upload(V1, b"one")
    with pytest.raises(UnverifiedError, match="is not listed for role snapshot"):
        wrong.commit({"acme": made.next_release_role("acme", {V1: b"one"})}, NOW, based_on=wrong.current())


def test_a_store_that_goes_back_is_refused() -> None:
    """A timestamp older than one this server has seen is not built on."""
    made = world()
    assert isinstance(made.store, MemoryStore)
    old = made.store.bodies[TIMESTAMP_KEY]
    made.release("acme", {V1: b"one"})
    made.store.bodies[TIMESTAMP_KEY] = old
    with pytest.raises(UnverifiedError, match="timestamp went back to v2, v3 was seen"):
        made.repository.current()


def test_refresh_signs_only_what_nears_its_end() -> None:
    """Nothing when all is fresh; the timestamp after hours; the snapshot too after days, even expired."""
    made = world()
    assert made.repository.refresh(NOW + timedelta(hours=1)) is None
    assert made.repository.refresh(NOW + timedelta(hours=7)) == Committed(2, 3)
    assert made.repository.refresh(NOW + timedelta(days=5)) == Committed(3, 4)
    later = NOW + timedelta(days=30)
    assert made.repository.refresh(later) == Committed(4, 5)
    assert load(made.store, made.root, later).timestamp_version == 5


def test_refresh_under_an_expired_root_is_refused() -> None:
    """The server cannot outlive the offline keys."""
    made = world()
    with pytest.raises(UnverifiedError, match="expired"):
        made.repository.refresh(NOW + timedelta(days=400))


def test_a_timestamp_that_does_not_advance_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outsider who saw the current state must see the next one as newer."""
    made = world()
    current = made.repository.current()
    with pytest.raises(UnverifiedError, match="did not advance"):
        made.repository._require_outsider_accepts(current, {}, {}, NOW)
