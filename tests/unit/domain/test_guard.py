"""Floors: what they forbid, how they are written, when they move."""

import pytest

from distribution.domain.guard import GUARD_MAX_BYTES, Guard, Moved, guard_path, require_package
from distribution.domain.package import Version
from distribution.errors import InvalidError, PolicyError

V1, V2 = Version.parse("1.0.0"), Version.parse("2.0.0")


def test_the_path_has_a_fixed_place() -> None:
    """One file a publisher."""
    assert guard_path("acme") == "guard/acme/guard.json"


@pytest.mark.parametrize("name", ["", "..", "a/b", "Acme", "a\0b"])
def test_a_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    """The path is made of plain names only."""
    with pytest.raises(InvalidError):
        guard_path(name)


def test_bytes_round_trip_and_are_the_same_for_the_same_floors() -> None:
    """Order of insertion does not show."""
    one, two = Guard({"a": V1, "b": V2}), Guard({"b": V2, "a": V1})
    assert one.to_bytes() == two.to_bytes() == b'{"floors":{"a":"1.0.0","b":"2.0.0"}}\n'
    assert Guard.parse(one.to_bytes()) == one


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"floors":[]}',
        b'{"floors":{},"yanked":[]}',
        b'{"floors":{"a":1}}',
        b'{"floors":{"a":"v1.0.0"}}',
        b'{"floors":{"a":"1"}}',
        b'{"floors":{"../a":"1.0.0"}}',
        b"[" * 100_000,
        b" " * (GUARD_MAX_BYTES + 1),
    ],
)
def test_what_is_not_understood_is_refused(raw: bytes) -> None:
    """A prohibition that cannot be honoured is not skipped."""
    with pytest.raises(InvalidError):
        Guard.parse(raw)


def test_a_version_below_the_floor_is_refused_with_both() -> None:
    """The floor itself is allowed; so is a package without one."""
    guard = Guard({"otelcol": V2})
    guard.require_allowed("otelcol", V2)
    guard.require_allowed("other", V1)
    with pytest.raises(PolicyError, match=r"version 1\.0\.0 of package 'otelcol' is below its floor 2\.0\.0"):
        guard.require_allowed("otelcol", V1)


def test_a_floor_rises_and_is_lowered_only_by_name() -> None:
    """The dangerous direction has to be asked for."""
    raised = Guard().with_floor("otelcol", V1).with_floor("otelcol", V2)
    assert raised.floors == {"otelcol": V2}
    with pytest.raises(PolicyError, match=r"is 2\.0\.0, 1\.0\.0 would lower it"):
        raised.with_floor("otelcol", V1)
    assert raised.with_floor("otelcol", V1, allow_lowering_the_floor=True).floors == {"otelcol": V1}


def test_floors_that_moved_are_told_with_both_values() -> None:
    """What is gone counts as lowered; what stays is not told."""
    before = Guard({"gone": V1, "down": V2, "same": V1, "up": V1})
    after = Guard({"down": V1, "same": V1, "up": V2, "new": V1})
    moved = after.moved_from(before)
    assert moved == (
        Moved("down", V2, V1),
        Moved("gone", V1, None),
        Moved("new", None, V1),
        Moved("up", V1, V2),
    )
    assert [one.package for one in moved if one.lowered] == ["down", "gone"]
    assert after.moved_from(after) == ()


def test_a_floor_of_a_package_that_nobody_has_is_refused_with_those_there_are() -> None:
    """A typing error would look like a closed hole."""
    require_package("acme", "otelcol", ("otelcol",))
    with pytest.raises(InvalidError, match=r"'otelcl' is none of publisher 'acme', .* are \['otelcol'\]"):
        require_package("acme", "otelcl", ("otelcol",))
