"""Decides whether a role that a pipeline signed may be committed. What it returns still has to be committed.

Rules, in this order; nothing is written here:

1. It is signed by the key that `targets` delegates the role to, and has not expired.
2. Its version is higher than the current one, by at most `VERSION_LEAP_MAX`: versions may be skipped (an
   orphan may hold one), but nobody runs a role's version up to where it cannot be followed.
3. Every target is within the delegated paths, in its one spelling, and its `custom` agrees with its path.
4. A target that is there keeps its digest, and stays: whoever signed on an older list must sign again.
5. The bytes of every new target are in the store, hashed by us.
6. A floor that is new is of a package that the publisher has: of any other it would forbid nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from distribution.catalog.current import Current, read_role
from distribution.catalog.delegation import (
    Publisher,
    artifacts_in,
    guard_role,
    guard_target,
    publisher_of,
    verifying,
)
from distribution.catalog.intake import object_key, require_stored
from distribution.domain.guard import GUARD_MAX_BYTES, Guard, Moved, guard_path, require_package
from distribution.domain.package import Artifact, Digest
from distribution.domain.target import releases_of
from distribution.errors import ConflictError, InvalidError, UnknownError, UnverifiedError
from keys.metadata import Targets, read, require_fresh, verify
from storage.objects import ObjectStore

VERSION_LEAP_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Accepted:
    """A role that may be committed on top of the state it was accepted against, and what it changes."""

    publisher: str
    role: str
    version: int
    body: bytes
    already_current: bool = False
    """Exactly these bytes are the current role: there is nothing to commit."""
    added: tuple[Artifact, ...] = ()
    """Of a release role: what it adds; nothing where it is only signed again, to expire later."""
    guard: Guard | None = None
    """Of a guard role: the floors from now on."""
    moved: tuple[Moved, ...] = ()
    """Of a guard role: the floors that are not where they were; none where it is only signed again."""


def accept(store: ObjectStore, current: Current, role: str, body: bytes, now: datetime) -> Accepted:
    """Return what a submitted role changes, if it may be committed on top of `current`.

    Args:
        store: where the bytes of its targets must be.
        current: the state it is to be committed on; hand the same one to `Repository.commit`.
        role: the publisher's release or guard role, by name.
        body: the signed file.
        now: aware UTC.

    Raises:
        UnknownError: no such publisher, or bytes that were not uploaded.
        UnverifiedError: signature, expiry, or stored bytes that are not the signed ones.
        ConflictError: somebody else was first: an older version, or a list without what is current.
        InvalidError: a target outside the delegation or of a wrong shape, a version too far ahead, a new
            floor of a package that the publisher does not have.
    """
    publisher = current.publisher(publisher_of(role))
    with verifying("submitted role"):
        submitted = verify(current.targets, role, read(Targets, body))
        require_fresh(role, submitted, now)
    if current.holds(role, body):
        return Accepted(publisher.name, role, submitted.version, body, already_current=True)
    _require_next(role, submitted.version, current.version_of(role))
    if role == guard_role(publisher.name):
        guard, moved = _accept_guard(store, current, publisher, submitted)
        return Accepted(publisher.name, role, submitted.version, body, guard=guard, moved=moved)
    added = _accept_release(store, current, publisher, submitted)
    return Accepted(publisher.name, role, submitted.version, body, added=added)


def _require_next(role: str, submitted: int, current: int) -> None:
    if submitted <= current:
        raise ConflictError(f"role {role} v{submitted} was submitted, v{current} is current")
    if submitted > current + VERSION_LEAP_MAX:
        highest = current + VERSION_LEAP_MAX
        raise InvalidError(
            f"role {role} v{submitted} was submitted, at most v{highest} may follow v{current}"
        )


def _accept_release(
    store: ObjectStore, current: Current, publisher: Publisher, submitted: Targets
) -> tuple[Artifact, ...]:
    artifacts = artifacts_in(publisher, submitted)
    releases_of(artifacts)
    before = _listed(store, current, publisher)
    after = {str(artifact.path): artifact for artifact in artifacts}
    for path, artifact in before.items():
        if path not in after:
            raise ConflictError(
                f"role {publisher.name} v{submitted.version} lacks {path!r}, "
                f"which v{current.version_of(publisher.name)} lists"
            )
        if after[path] != artifact:
            raise ConflictError(
                f"target {path!r} is published with sha256 {artifact.sha256} as {artifact.type.value}, "
                f"role v{submitted.version} says {after[path].sha256} as {after[path].type.value}"
            )
    added = tuple(artifact for path, artifact in after.items() if path not in before)
    for artifact in added:
        require_stored(store, str(artifact.path), artifact.sha256, artifact.length)
    return added


def _listed(store: ObjectStore, current: Current, publisher: Publisher) -> dict[str, Artifact]:
    try:
        role = read_role(store, current, publisher.name)
    except UnknownError:
        return {}
    return {str(artifact.path): artifact for artifact in artifacts_in(publisher, role)}


def _accept_guard(
    store: ObjectStore, current: Current, publisher: Publisher, submitted: Targets
) -> tuple[Guard, tuple[Moved, ...]]:
    guard = _read_guard(store, publisher.name, submitted)
    moved = guard.moved_from(_guard_before(store, current, publisher.name))
    for floor in moved:
        if floor.before is None:
            require_package(publisher.name, floor.package, publisher.packages)
    return guard, moved


def _guard_before(store: ObjectStore, current: Current, publisher: str) -> Guard:
    try:
        return _read_guard(store, publisher, read_role(store, current, guard_role(publisher)))
    except (UnknownError, UnverifiedError, InvalidError):
        # What cannot be read now must not keep its publisher from repairing it; it has no floors to compare.
        return Guard()


def _read_guard(store: ObjectStore, publisher: str, submitted: Targets) -> Guard:
    target = guard_target(publisher, submitted)
    if target.length > GUARD_MAX_BYTES:
        raise InvalidError(f"guard file of {publisher} has {target.length} bytes, at most {GUARD_MAX_BYTES}")
    digest = Digest.from_hex(target.hashes["sha256"])
    path = guard_path(publisher)
    require_stored(store, path, digest, target.length)
    raw, _ = store.read(object_key(path, digest), GUARD_MAX_BYTES)
    return Guard.parse(raw)
