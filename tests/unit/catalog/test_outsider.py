"""What an outsider accepts, and refuses, of a repository."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.catalog.current import store_source
from distribution.catalog.outsider import Outsider, Source
from distribution.domain.guard import Guard, guard_path
from distribution.errors import UnknownError, UnreachableError, UnverifiedError
from keys.metadata import Targets, read
from storage.errors import UnavailableError
from tests.fakes.memory_store import MemoryStore
from tests.fakes.publishing import NOW, World, guard_file, role_bytes

PATH = "acme/otelcol/1.0.0/linux-amd64/otelcol"


def world() -> World:
    made = World()
    made.add_publisher()
    made.release("acme", {PATH: b"one"})
    return made


def look(made: World, folder: Path, source: Source | None = None, **later: float) -> Outsider:
    return Outsider(source or store_source(made.store), made.root, folder, NOW + timedelta(**later))


def test_everything_is_reached_from_the_pinned_root(tmp_path: Path) -> None:
    """Top-level roles, publishers' roles and what they say of a target."""
    outsider = look(world(), tmp_path)
    assert (outsider.root.version, outsider.targets.version) == (1, 2)
    assert (outsider.snapshot.version, outsider.timestamp.version) == (3, 3)
    assert list(outsider.role("acme").targets) == [PATH]
    assert read(Targets, outsider.role_bytes("acme")).signed == outsider.role("acme")
    assert read(Targets, outsider.role_bytes("targets")).signed == outsider.targets
    assert outsider.find(PATH).length == 3


def test_a_small_target_is_read_verified(tmp_path: Path) -> None:
    """The guard comes back as it was signed, and nothing stays lying around."""
    outsider = look(world(), tmp_path)
    assert Guard.parse(outsider.read_target(guard_path("acme"), 100)) == Guard()
    assert not (tmp_path / "target").exists()


def test_an_altered_target_is_refused(tmp_path: Path) -> None:
    """Bytes that changed in the store do not verify."""
    made = world()
    assert isinstance(made.store, MemoryStore)
    [key] = [key for key in made.store.bodies if key.endswith("guard.json") and key.startswith("targets/")]
    made.store.bodies[key] = b'{"floors":{} }\n'
    with pytest.raises(UnverifiedError, match="target guard"):
        look(made, tmp_path).read_target(guard_path("acme"), 100)


def test_a_target_over_its_cap_is_not_fetched(tmp_path: Path) -> None:
    """The signed length is compared with the cap before the first byte."""
    with pytest.raises(UnverifiedError, match="at most 1 are read"):
        look(world(), tmp_path).read_target(guard_path("acme"), 1)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """An unlisted target and an undelegated role."""
    outsider = look(world(), tmp_path)
    with pytest.raises(UnverifiedError, match="is not in the repository"):
        outsider.find("acme/otelcol/9.0.0/linux-amd64/otelcol")
    with pytest.raises(UnverifiedError, match="is not delegated to by targets v2"):
        outsider.role("stranger")


def test_nothing_is_delegated_in_a_new_repository(tmp_path: Path) -> None:
    """A `targets` without delegations has no publishers' roles."""
    with pytest.raises(UnverifiedError, match="is not delegated"):
        look(World(), tmp_path).role("acme")


@pytest.mark.parametrize(("days", "what"), [(2, "timestamp"), (400, "root")])
def test_expiry_is_judged_at_the_given_time(tmp_path: Path, days: int, what: str) -> None:
    """The clock is an argument."""
    with pytest.raises(UnverifiedError, match="expired"):
        look(world(), tmp_path, days=days)


def test_a_root_that_is_none_is_refused(tmp_path: Path) -> None:
    """The pin itself has to be metadata that signs itself."""
    with pytest.raises(UnverifiedError, match="pinned root"):
        Outsider(store_source(World().store), b"{}", tmp_path, NOW)


def test_going_back_is_refused(tmp_path: Path) -> None:
    """A source that shows an older timestamp than this folder remembers."""
    made = world()
    old, _ = made.store.read("metadata/timestamp.json", 9999)
    made.release("acme", {"acme/otelcol/1.1.0/linux-amd64/otelcol": b"two"})
    look(made, tmp_path)
    with pytest.raises(UnverifiedError, match="New timestamp version 3 must be >= 4"):
        look(made, tmp_path, store_source(made.store, {"metadata/timestamp.json": old}))


def test_a_role_that_is_missing_is_refused(tmp_path: Path) -> None:
    """A state that is not whole is no state."""
    made = world()
    made.store.delete("metadata/2.acme.json")
    with pytest.raises(UnverifiedError, match="role acme cannot be read as a whole"):
        look(made, tmp_path).role("acme")


def test_a_forged_role_is_refused(tmp_path: Path) -> None:
    """A role signed by another key."""
    made = world()
    forged = role_bytes("acme", 2, [guard_file("acme", Guard())], key="stranger")
    with pytest.raises(UnverifiedError, match="role acme does not verify"):
        look(made, tmp_path, store_source(made.store, {"metadata/2.acme.json": forged})).role("acme")


@pytest.mark.parametrize("error", [UnavailableError("store is away"), UnreachableError("server is away")])
def test_a_source_that_cannot_answer_is_not_a_refusal(tmp_path: Path, error: Exception) -> None:
    """Trouble on the way is told as it is: it proves nothing about the metadata."""

    def fetch(key: str) -> Iterable[bytes]:
        raise error if "timestamp" in key else UnknownError(key)

    with pytest.raises(type(error), match="is away"):
        look(world(), tmp_path, fetch)


def test_a_role_that_its_own_path_does_not_reach_is_refused(tmp_path: Path) -> None:
    """Another role that reaches the same paths and terminates would hide it from every client."""
    made = World()
    made.add_publisher()
    outsider = look(made, tmp_path)
    assert outsider.targets.delegations is not None
    roles = outsider.targets.delegations.roles
    assert roles is not None
    roles["acme-guard"].paths = ["acme/otelcol/*/*/*"]
    outsider.targets.delegations.roles = {"acme-guard": roles["acme-guard"], "acme": roles["acme"]}
    with pytest.raises(UnverifiedError, match="role 'acme' is not reached by its own path"):
        outsider.role("acme")
