"""The next version of a role: verified before, written down before, handed in again, read back."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from distribution.catalog.catalogue import load
from distribution.errors import (
    BusyError,
    ConflictError,
    DistributionError,
    InvalidError,
    UnreachableError,
    UnverifiedError,
)
from distribution.pipeline import state
from distribution.pipeline.signing import ATTEMPTS
from distribution.pipeline.state import RoleState
from keys.metadata import Targets, read
from storage.directory import DirectoryStore
from storage.objects import ObjectStore
from tests.fakes.memory_store import MemoryStore
from tests.fakes.publisher_home import V1, V2, Publisher, publisher
from tests.fakes.publishing import NOW, World


@pytest.fixture
def acme(tmp_path: Path) -> Publisher:
    return publisher(tmp_path / "acme")


def kept(acme: Publisher) -> RoleState:
    return state.load(acme.release_seat.state_file)


def versions(world: World) -> list[str]:
    return [str(version) for version in load(world.store, world.root, NOW).versions("acme", "otelcol")]


def raising(error: Exception) -> Callable[[bytes], None]:
    def hook(body: bytes) -> None:
        raise error

    return hook


def test_what_was_taken_is_remembered(acme: Publisher) -> None:
    """Version and digest of the last role."""
    acme.publish(V1, b"one")
    digest = hashlib.sha256(acme.server.submissions[0]).hexdigest()
    assert kept(acme) == RoleState(2, digest, 2)


def test_signed_bytes_are_on_disk_before_they_are_handed_in(acme: Publisher) -> None:
    """Write-ahead: at the moment of submission the state holds exactly these bytes."""
    seen: list[RoleState] = []
    acme.server.before_submit = lambda body: seen.append(kept(acme))
    acme.publish(V1, b"one")
    assert seen == [RoleState(0, "", 2, acme.server.submissions[0])]


@pytest.mark.parametrize("lost", ["before", "after"])
def test_after_a_crash_the_same_bytes_are_handed_in_first(acme: Publisher, lost: str) -> None:
    """Whether or not the server had taken them, nothing is signed twice for one version."""
    hook = raising(UnreachableError("gone"))
    setattr(acme.server, f"{lost}_submit", hook)
    with pytest.raises(UnreachableError):
        acme.publish(V1, b"one")
    setattr(acme.server, f"{lost}_submit", lambda body: None)
    published = acme.publish(V1, b"one")
    assert published.submitted is None
    assert len(set(acme.server.submissions)) == 1
    assert (versions(acme.server.world), kept(acme).last_version) == (["1.0.0"], 2)


def test_a_crash_between_intent_and_signature_skips_the_version(acme: Publisher) -> None:
    """A version that may have been signed is never signed for something else."""
    state.save(acme.release_seat.state_file, RoleState(0, "", 2))
    assert acme.publish(V1, b"one").role_version == 3


def test_pending_bytes_that_were_overtaken_are_dropped(acme: Publisher, tmp_path: Path) -> None:
    """Another pipeline published meanwhile: this one's release is signed again on top."""
    acme.server.before_submit = raising(UnreachableError("gone"))
    with pytest.raises(UnreachableError):
        acme.publish(V1, b"one")
    acme.twin(tmp_path / "twin").publish(V2, b"two")
    acme.server.before_submit = lambda body: None
    acme.publish(V1, b"one")
    assert versions(acme.server.world) == ["1.0.0", "2.0.0"]
    assert any("was not taken" in line for line in acme.shown)


def test_a_lost_race_is_signed_again_on_top(acme: Publisher, tmp_path: Path) -> None:
    """By itself, and both releases exist."""
    twin = acme.twin(tmp_path / "twin")

    def race(body: bytes) -> None:
        acme.server.before_submit = lambda body: None
        twin.publish(V2, b"two")

    acme.server.before_submit = race
    published = acme.publish(V1, b"one")
    assert versions(acme.server.world) == ["1.0.0", "2.0.0"]
    assert published.role_version == 3
    assert acme.waited == [0.05]
    assert any("somebody else was first" in line for line in acme.shown)
    acme.publish(V1.replace("1.0.0", "1.1.0"), b"three")
    twin.publish(V2.replace("2.0.0", "2.1.0"), b"four")
    assert "role acme v4 is current, this pipeline last signed v2" in twin.shown


def test_losing_every_race_ends(acme: Publisher) -> None:
    """With a stated number of attempts and waits that stay short."""
    acme.server.before_submit = raising(ConflictError("taken"))
    with pytest.raises(ConflictError, match=f"{ATTEMPTS} times in a row"):
        acme.publish(V1, b"one")
    assert len(acme.waited) == ATTEMPTS
    assert max(acme.waited) == 2.0
    assert len({read(Targets, body).signed.version for body in acme.server.submissions}) == ATTEMPTS


def test_a_refusal_keeps_the_version_used(acme: Publisher) -> None:
    """A server that refused and kept the bytes cannot collect two roles of one version."""
    acme.server.before_submit = raising(InvalidError("no"))
    with pytest.raises(InvalidError, match="no"):
        acme.publish(V1, b"one")
    assert kept(acme) == RoleState(0, "", 2)
    acme.server.before_submit = lambda body: None
    assert acme.publish(V1, b"one").role_version == 3


def test_a_busy_server_leaves_the_bytes_pending(acme: Publisher) -> None:
    """It did not decide, so neither do we."""
    acme.server.before_submit = raising(BusyError("later"))
    with pytest.raises(BusyError):
        acme.publish(V1, b"one")
    assert kept(acme).pending == acme.server.submissions[0]


def test_a_server_that_only_says_so_is_not_believed(acme: Publisher) -> None:
    """The role is read back: it must be there, and be ours."""
    timestamp, _ = acme.server.world.store.read("metadata/timestamp.json", 9999)
    acme.server.overlay["metadata/timestamp.json"] = timestamp
    with pytest.raises(UnverifiedError, match="role acme v1 is shown as current, this key signed v2"):
        acme.publish(V1, b"one")


def test_another_content_under_our_last_version_is_refused(acme: Publisher) -> None:
    """The same version with other bytes is not what this key signed."""
    acme.publish(V1, b"one")
    path = acme.release_seat.state_file
    state.save(path, RoleState(2, "00" * 32, 2))
    with pytest.raises(UnverifiedError, match="has sha256"):
        acme.publish(V2, b"two")


def test_a_key_that_was_not_delegated_signs_nothing(acme: Publisher) -> None:
    """The wrong key is told before it is used."""
    seat = acme.home.guard_key
    wrong = acme.home.__class__(acme.folder, "acme", ("otelcol",), seat, seat)
    acme.home = wrong
    with pytest.raises(UnverifiedError, match="is not listed for role acme"):
        acme.publish(V1, b"one")
    assert kept(acme) == RoleState()


def stores(tmp_path: Path) -> list[ObjectStore]:
    return [MemoryStore(), DirectoryStore(tmp_path / "objects")]


@pytest.mark.parametrize("kind", [0, 1])
def test_pipelines_race_on_one_role_and_every_release_exists(tmp_path: Path, kind: int) -> None:
    """Three pipelines with copies of one key, at servers of their own, publish at the same time."""
    first = publisher(tmp_path / "acme", World(stores(tmp_path)[kind]))
    pipelines = [first, first.twin(tmp_path / "b"), first.twin(tmp_path / "c")]
    failures: list[DistributionError] = []

    def run(number: int, pipeline: Publisher) -> None:
        try:
            for minor in range(3):
                pipeline.publish(f"acme/otelcol/{number}.{minor}.0/any/otelcol", b"%d%d" % (number, minor))
        except DistributionError as exc:
            failures.append(exc)

    threads = [threading.Thread(target=run, args=each) for each in enumerate(pipelines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert versions(first.server.world) == [f"{major}.{minor}.0" for major in range(3) for minor in range(3)]
