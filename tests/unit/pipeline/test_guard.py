"""Floors are moved by the guard key alone, up by default."""

from pathlib import Path

import pytest

from distribution.catalog.catalogue import load
from distribution.domain.package import Digest, Version
from distribution.errors import InvalidError, PolicyError, UnverifiedError
from distribution.pipeline.guard import FloorSet, set_floor
from tests.fakes.publisher_home import Publisher, publisher
from tests.fakes.publishing import NOW

V1, V2 = Version.parse("1.0.0"), Version.parse("2.0.0")


@pytest.fixture
def acme(tmp_path: Path) -> Publisher:
    return publisher(tmp_path / "acme")


def floor(acme: Publisher) -> Version | None:
    world = acme.server.world
    return load(world.store, world.root, NOW).floor("acme", "otelcol")


def test_a_floor_is_raised(acme: Publisher) -> None:
    """New bytes and a new version of the guard role; it is shown before it is signed."""
    done = set_floor(acme.guard_seat, "otelcol", V1, acme.tools())
    assert (done.role_version, done.before, done.floor) == (2, None, V1)
    assert done.submitted is not None
    assert floor(acme) == V1
    assert set_floor(acme.guard_seat, "otelcol", V2, acme.tools()).before == V1
    assert floor(acme) == V2
    assert acme.shown == [
        "package 'otelcol' of acme had no floor, gets floor 1.0.0",
        "package 'otelcol' of acme had floor 1.0.0, gets floor 2.0.0",
    ]


def test_the_same_floor_again_signs_nothing(acme: Publisher) -> None:
    """It is where it is wanted."""
    set_floor(acme.guard_seat, "otelcol", V1, acme.tools())
    assert set_floor(acme.guard_seat, "otelcol", V1, acme.tools()) == FloorSet(2, V1, V1, None)


def test_a_floor_is_lowered_only_by_name(acme: Publisher) -> None:
    """The dangerous direction is a keyword of its own."""
    set_floor(acme.guard_seat, "otelcol", V2, acme.tools())
    with pytest.raises(PolicyError, match="would lower it"):
        set_floor(acme.guard_seat, "otelcol", V1, acme.tools())
    assert floor(acme) == V2
    set_floor(acme.guard_seat, "otelcol", V1, acme.tools(), allow_lowering_the_floor=True)
    assert floor(acme) == V1


def test_a_server_that_names_other_bytes_is_refused(acme: Publisher) -> None:
    """The guard's digest is ours too."""
    acme.server.lie_about_digest = Digest(bytes(32))
    with pytest.raises(UnverifiedError, match="server says that target"):
        set_floor(acme.guard_seat, "otelcol", V1, acme.tools())
    assert acme.server.submissions == []


def test_a_floor_of_a_package_that_is_none_is_refused_before_anything_is_signed(acme: Publisher) -> None:
    """A typing error in an emergency would leave the hole open; what there is is named."""
    with pytest.raises(InvalidError, match=r"'otelcl' is none of publisher 'acme', .* are \['otelcol'\]"):
        set_floor(acme.guard_seat, "otelcl", V2, acme.tools())
    assert (acme.server.submissions, acme.server.uploads, acme.shown) == ([], [], [])
