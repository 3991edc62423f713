"""Moves a floor: a new guard file and a new version of the guard role, signed by the guard key.

The guard that is changed is the one verified from the pinned root, so a server cannot make a pipeline forget
a prohibition by showing an old one. Raising is the ordinary case; lowering lets versions in again that were
forbidden, and is asked for by its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from distribution.catalog.delegation import guard_target, publishers_of
from distribution.catalog.outsider import Outsider
from distribution.domain.guard import GUARD_MAX_BYTES, Guard, guard_path, require_package
from distribution.domain.package import Digest, Version
from distribution.errors import UnverifiedError
from distribution.pipeline.home import Seat
from distribution.pipeline.ports import Submitted
from distribution.pipeline.signing import Tools, advance
from keys.metadata import TargetFile, Targets


@dataclass(frozen=True, slots=True)
class FloorSet:
    """The guard as it is now. `submitted` is None if the floor was where it is wanted already."""

    role_version: int
    before: Version | None
    floor: Version
    submitted: Submitted | None


def set_floor(
    seat: Seat, package: str, floor: Version, tools: Tools, *, allow_lowering_the_floor: bool = False
) -> FloorSet:
    """Set the lowest version of a package that may be newly installed.

    Args:
        seat: the publisher's guard seat.
        package: whose floor.
        floor: from now on.
        tools: server, time, and where to tell what changes.
        allow_lowering_the_floor: let versions in again that are forbidden now.

    Raises:
        InvalidError: the publisher has no such package, so the floor would forbid nothing.
        PolicyError: the floor would be lowered and that was not asked for.
        UnverifiedError, ConflictError, UnreachableError: as `signing.advance`.
    """
    before: list[Version | None] = [None]

    def decide(view: Outsider, role: Targets) -> Mapping[str, TargetFile] | None:
        require_package(seat.publisher, package, publishers_of(view.targets)[seat.publisher].packages)
        guard_target(seat.publisher, role)
        guard = Guard.parse(view.read_target(guard_path(seat.publisher), GUARD_MAX_BYTES))
        before[0] = guard.floors.get(package)
        if before[0] == floor:
            return None
        following = guard.with_floor(package, floor, allow_lowering_the_floor=allow_lowering_the_floor)
        was = "no floor" if before[0] is None else f"floor {before[0]}"
        tools.show(f"package {package!r} of {seat.publisher} had {was}, gets floor {floor}")
        return _upload(seat, following, tools)

    signed = advance(seat, decide, tools)
    return FloorSet(signed.version, before[0], floor, signed.submitted)


def _upload(seat: Seat, guard: Guard, tools: Tools) -> Mapping[str, TargetFile]:
    body = guard.to_bytes()
    target = TargetFile.from_data(guard_path(seat.publisher), body, ["sha256"])
    own = Digest.from_hex(target.hashes["sha256"])
    theirs = tools.server.upload(target.path, own, len(body), [body])
    if theirs != own:
        raise UnverifiedError(f"server says that target {target.path!r} has sha256 {theirs}, sent was {own}")
    return {target.path: target}
