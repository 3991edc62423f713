"""The verified view of what is published."""

from dataclasses import FrozenInstanceError
from datetime import timedelta

import pytest

from distribution.catalog.catalogue import Catalogue, load
from distribution.domain.guard import Guard, guard_path
from distribution.domain.package import Version
from distribution.errors import UnknownError, UnverifiedError
from tests.fakes.memory_store import MemoryStore
from tests.fakes.publishing import NOW, World, artifact, guard_file, role_bytes

V1, V2 = "acme/otelcol/1.0.0/linux-amd64/otelcol", "acme/otelcol/2.0.0/linux-amd64/otelcol"


def version(text: str) -> Version:
    return Version.parse(text)


@pytest.fixture
def made() -> World:
    world = World()
    world.add_publisher()
    world.add_publisher("other")
    world.release("acme", {V2: b"two", V1: b"one"})
    return world


def test_releases_are_found_by_name_and_version(made: World) -> None:
    """With the digest that was signed."""
    catalogue = load(made.store, made.root, NOW)
    release = catalogue.find("acme", "otelcol", version("1.0.0"))
    assert release.artifacts == {"linux-amd64": artifact(V1, b"one")}
    assert catalogue.versions("acme", "otelcol") == (version("1.0.0"), version("2.0.0"))
    assert catalogue.versions("other", "otelcol") == ()
    assert catalogue.publishers == ("acme", "other")
    assert (catalogue.snapshot_version, catalogue.timestamp_version) == (4, 4)


def test_what_is_not_there_is_unknown(made: World) -> None:
    """A release and a publisher that do not exist."""
    catalogue = load(made.store, made.root, NOW)
    with pytest.raises(UnknownError, match=r"release acme/otelcol@3\.0\.0 does not exist"):
        catalogue.find("acme", "otelcol", version("3.0.0"))
    with pytest.raises(UnknownError, match="publisher 'stranger' does not exist"):
        catalogue.versions("stranger", "otelcol")


def test_it_does_not_change(made: World) -> None:
    """A commit makes a new catalogue; the old one stays what it was."""
    catalogue = load(made.store, made.root, NOW)
    made.release("acme", {"acme/otelcol/3.0.0/any/otelcol": b"three"})
    assert len(catalogue.versions("acme", "otelcol")) == 2
    assert len(load(made.store, made.root, NOW).versions("acme", "otelcol")) == 3
    with pytest.raises(FrozenInstanceError):
        catalogue.snapshot_version = 9  # type: ignore[misc] # that is the point
    with pytest.raises(TypeError):
        catalogue.shelves["x"] = catalogue.shelves["acme"]  # type: ignore[index] # that is the point


def test_floors_are_the_guards(made: World) -> None:
    """None where nothing is forbidden."""
    guard = Guard({"otelcol": version("2.0.0")})
    made.upload(guard_path("acme"), guard.to_bytes())
    made.submit("acme-guard", role_bytes("acme-guard", 2, [guard_file("acme", guard)]))
    catalogue = load(made.store, made.root, NOW)
    assert catalogue.floor("acme", "otelcol") == version("2.0.0")
    assert catalogue.floor("acme", "tool") is None
    assert catalogue.floor("other", "otelcol") is None


def test_an_expired_publisher_does_not_take_the_others_along(made: World) -> None:
    """Its own releases say why; theirs are there."""
    raw = role_bytes("other", 2, [], expires=NOW + timedelta(hours=1))
    made.submit("other", raw)
    later = load(made.store, made.root, NOW + timedelta(hours=2))
    assert later.find("acme", "otelcol", version("1.0.0"))
    assert later.publishers == ("acme", "other")
    with pytest.raises(UnverifiedError, match=r"publisher 'other' does not verify: .*expired"):
        later.find("other", "otelcol", version("1.0.0"))
    with pytest.raises(UnverifiedError):
        later.floor("other", "otelcol")


def test_a_guard_that_cannot_be_read_stops_its_publisher(made: World) -> None:
    """Without its guard nothing of a publisher is offered, because an agent would refuse it."""
    assert isinstance(made.store, MemoryStore)
    for key in made.store.bodies:
        if key.startswith("targets/guard/acme/"):
            made.store.bodies[key] = b"altered"
    with pytest.raises(UnverifiedError, match="publisher 'acme' does not verify"):
        load(made.store, made.root, NOW).find("acme", "otelcol", version("1.0.0"))


def test_it_says_how_long_it_can_be_believed(made: World) -> None:
    """The first expiry of anything it rests on; of a publisher's role too."""
    assert load(made.store, made.root, NOW).verified_until == NOW + timedelta(days=1)
    soon = NOW + timedelta(hours=3)
    made.submit("other", role_bytes("other", 2, [], expires=soon))
    assert load(made.store, made.root, NOW).verified_until == soon


def test_nothing_is_made_of_metadata_that_does_not_verify(made: World) -> None:
    """An expired timestamp is no catalogue, rather than an old one."""
    with pytest.raises(UnverifiedError, match="expired"):
        load(made.store, made.root, NOW + timedelta(days=2))


def test_an_empty_repository_is_an_empty_catalogue() -> None:
    """No publishers is a state like any other."""
    world = World()
    assert load(world.store, world.root, NOW) == Catalogue(1, 1, NOW + timedelta(days=1), {}, {})
