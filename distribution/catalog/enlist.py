"""Decides whether a `targets` that the offline keys signed may be committed: a publisher added, or widened.

The server could not have made it and cannot change it; it checks that what it is handed has the shape all
of this rests on: nothing but publishers' delegations, none lost, none re-keyed, no key in two roles, and for
each new role its first version with its bytes. All of it is committed at once or not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from distribution.catalog.current import Current
from distribution.catalog.delegation import (
    Publisher,
    artifacts_in,
    guard_role,
    guard_target,
    publishers_of,
    verifying,
)
from distribution.catalog.intake import require_stored, take
from distribution.domain.guard import GUARD_MAX_BYTES, guard_path
from distribution.domain.package import Digest
from distribution.errors import ConflictError, InvalidError, UnverifiedError
from keys.errors import RoleMisuseError
from keys.metadata import Targets, read, require_fresh, verify
from keys.roles import TARGETS, delegated_roles, roles_by_keyid
from storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Enlisted:
    """Roles that may be committed in one commit on the state they were accepted against."""

    publishers: tuple[Publisher, ...]
    """The publishers that are new or may sign more than before."""
    roles: Mapping[str, bytes]


def accept(
    store: ObjectStore,
    current: Current,
    targets: bytes,
    *,
    roles: Mapping[str, bytes],
    files: Mapping[str, bytes],
    now: datetime,
) -> Enlisted:
    """Return what to commit for a new `targets`; the guard files of new publishers are stored here.

    Args:
        store: the repository's.
        current: the state it is to be committed on; hand the same one to `Repository.commit`.
        targets: the next top-level targets, signed offline.
        roles: the first version of each role that is new in it, and no other.
        files: the guard files of new publishers, by target path.
        now: aware UTC.

    Raises:
        ConflictError: `targets` was signed on another version than the current.
        UnverifiedError: a signature or expiry, or delegations of another shape than ours.
        InvalidError: roles or files that do not go with it, or a first role that is not one.
    """
    if current.holds(TARGETS, targets):
        return Enlisted((), {})
    with verifying("submitted targets"):
        submitted = verify(current.root, TARGETS, read(Targets, targets))
        require_fresh(TARGETS, submitted, now)
        if submitted.version != current.targets.version + 1:
            raise ConflictError(
                f"role targets v{submitted.version} was submitted, v{current.targets.version} is current"
            )
        _require_no_key_twice(current, submitted)
    before, after = publishers_of(current.targets), publishers_of(submitted)
    _require_nothing_lost(before, after)
    new = tuple(publisher for name, publisher in after.items() if name not in before)
    _require_goes_with(new, roles, files)
    for publisher in new:
        _accept_first(store, submitted, publisher, roles=roles, files=files, now=now)
    changed = tuple(publisher for name, publisher in after.items() if before.get(name) != publisher)
    return Enlisted(changed, {TARGETS: targets, **roles})


def _require_no_key_twice(current: Current, submitted: Targets) -> None:
    for keyid, names in roles_by_keyid(current.root, submitted).items():
        delegated = [name for name in names if name in delegated_roles(submitted)]
        if delegated and len(names) > 1:
            raise RoleMisuseError(f"key {keyid} is listed for both {names[0]} and {delegated[-1]}")


def _require_nothing_lost(before: Mapping[str, Publisher], after: Mapping[str, Publisher]) -> None:
    for name, was in before.items():
        now = after.get(name)
        if now is None:
            raise UnverifiedError(f"submitted targets no longer delegate to publisher {name!r}")
        if (now.release_keyid, now.guard_keyid) != (was.release_keyid, was.guard_keyid):
            raise UnverifiedError(
                f"submitted targets give publisher {name!r} the keys {now.release_keyid} and "
                f"{now.guard_keyid}, it has {was.release_keyid} and {was.guard_keyid}"
            )
        lost = sorted(set(was.packages) - set(now.packages))
        if lost:
            raise UnverifiedError(f"submitted targets take package {lost[0]!r} from publisher {name!r}")


def _require_goes_with(
    new: tuple[Publisher, ...], roles: Mapping[str, bytes], files: Mapping[str, bytes]
) -> None:
    names = {role for publisher in new for role in (publisher.name, guard_role(publisher.name))}
    if set(roles) != names:
        raise InvalidError(f"first roles {sorted(roles)} were submitted, new are {sorted(names)}")
    paths = {guard_path(publisher.name) for publisher in new}
    if set(files) != paths:
        raise InvalidError(f"files {sorted(files)} were submitted, expected {sorted(paths)}")


def _accept_first(
    store: ObjectStore,
    submitted: Targets,
    publisher: Publisher,
    *,
    roles: Mapping[str, bytes],
    files: Mapping[str, bytes],
    now: datetime,
) -> None:
    first = {}
    for name in (publisher.name, guard_role(publisher.name)):
        with verifying("submitted first role"):
            first[name] = verify(submitted, name, read(Targets, roles[name]))
            require_fresh(name, first[name], now)
        if first[name].version != 1:
            raise InvalidError(f"first role {name} has version {first[name].version}, expected 1")
    if artifacts_in(publisher, first[publisher.name]):
        raise InvalidError(f"first role {publisher.name} lists targets, expected none")
    path = guard_path(publisher.name)
    target = guard_target(publisher.name, first[guard_role(publisher.name)])
    digest = Digest.from_hex(target.hashes["sha256"])
    take(store, path, digest, [files[path]], GUARD_MAX_BYTES)
    require_stored(store, path, digest, target.length)
