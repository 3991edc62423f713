"""Who may sign what: publishers, their two roles, and the paths those roles reach. Pure.

A publisher `acme` has the release role `acme`, which reaches `acme/<package>/*/*/*` for each of its packages,
and the guard role `acme-guard`, which reaches `guard/acme/guard.json` alone. Both are delegated by the
top-level `targets`, each to one key, terminating. Nothing else is delegated, to nobody else: whatever does
not have this shape is refused, here, for server and pipelines alike.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from distribution.domain.guard import guard_path
from distribution.domain.package import Artifact, require_name
from distribution.domain.target import artifact_of, custom_of
from distribution.errors import InvalidError, UnverifiedError
from keys.errors import RoleMisuseError, TrustError
from keys.metadata import DelegatedRole, TargetFile, Targets
from keys.roles import TOP_LEVEL_ROLES, delegated_keys, delegated_roles, require_key

GUARD_SUFFIX = "-guard"
_RESERVED = frozenset((*TOP_LEVEL_ROLES, "guard"))
_WILD = ("*", "*", "*")


@contextmanager
def verifying(what: str) -> Iterator[None]:
    """Turn what keys refuses of somebody's metadata into UnverifiedError, naming `what`."""
    try:
        yield
    except (TrustError, RoleMisuseError) as exc:
        raise UnverifiedError(f"{what}: {exc}") from exc


def require_publisher(name: str) -> str:
    """Return `name` if a publisher can have it: none of its role names may be another role's.

    Raises:
        InvalidError: not a plain name, a name of TUF's, `guard`, or one that ends in `-guard`.
    """
    require_name(name)
    if name in _RESERVED or name.endswith(GUARD_SUFFIX):
        raise InvalidError(f"publisher name {name!r} is reserved")
    if len(name) + len(GUARD_SUFFIX) > 63:  # noqa: PLR2004 - a DNS label
        raise InvalidError(f"publisher name {name!r} is too long to have a guard role")
    return name


def guard_role(publisher: str) -> str:
    """Return the name of the publisher's guard role; its release role is named as the publisher."""
    return f"{publisher}{GUARD_SUFFIX}"


def publisher_of(role: str) -> str:
    """Return the publisher whose release or guard role this is. Raises InvalidError for any other role."""
    return require_publisher(role.removesuffix(GUARD_SUFFIX))


def release_paths(publisher: str, packages: Iterable[str]) -> tuple[str, ...]:
    """Return the path patterns of a release role, in order."""
    names = sorted({require_name(package) for package in packages})
    return tuple("/".join((publisher, package, *_WILD)) for package in names)


@dataclass(frozen=True, slots=True)
class Publisher:
    """A publisher as `targets` delegates to it."""

    name: str
    packages: tuple[str, ...]
    release_keyid: str
    guard_keyid: str


def publishers_of(targets: Targets) -> Mapping[str, Publisher]:
    """Return the publishers that a verified `targets` delegates to, by name.

    Raises:
        UnverifiedError: `targets` holds targets itself, or a delegation of another shape than ours.
    """
    if targets.targets:
        raise UnverifiedError(
            f"role targets v{targets.version} holds {min(targets.targets)!r}, expected none"
        )
    if targets.delegations is not None and targets.delegations.succinct_roles is not None:
        raise UnverifiedError(f"role targets v{targets.version} delegates to succinct roles")
    roles = delegated_roles(targets)
    with verifying(f"role targets v{targets.version}"):
        for keyid, key in delegated_keys(targets).items():
            if require_key(key).keyid != keyid:
                raise RoleMisuseError(f"key {key.keyid} is listed as {keyid}")
    _require_one_role_a_key(roles)
    names = {_owner(name) for name in roles}
    return {name: _publisher(name, roles) for name in sorted(names)}


def _owner(role: str) -> str:
    try:
        return publisher_of(role)
    except InvalidError as exc:
        raise UnverifiedError(f"delegated role {role!r} is no publisher's") from exc


def _require_one_role_a_key(roles: Mapping[str, DelegatedRole]) -> None:
    owner: dict[str, str] = {}
    for name, role in roles.items():
        if len(role.keyids) != 1 or role.threshold != 1 or not role.terminating:
            raise UnverifiedError(f"delegated role {name!r} is not terminating, with one key and threshold 1")
        first = owner.setdefault(role.keyids[0], name)
        if first != name:
            raise UnverifiedError(f"key {role.keyids[0]} is delegated to both {first!r} and {name!r}")


def _publisher(name: str, roles: Mapping[str, DelegatedRole]) -> Publisher:
    release, guard = roles.get(name), roles.get(guard_role(name))
    if release is None or guard is None:
        raise UnverifiedError(f"publisher {name!r} does not have both roles, a release and a guard role")
    if guard.paths != [guard_path(name)]:
        raise UnverifiedError(f"role {guard.name!r} reaches {guard.paths}, expected {[guard_path(name)]}")
    packages = [_package(name, path) for path in release.paths or ()]
    if not packages:
        raise UnverifiedError(f"role {name!r} reaches no package")
    return Publisher(name, tuple(packages), release.keyids[0], guard.keyids[0])


def _package(publisher: str, pattern: str) -> str:
    parts = pattern.split("/")
    package = parts[1] if len(parts) > 1 else ""
    try:
        fits = pattern == release_paths(publisher, [package])[0]
    except InvalidError:
        fits = False
    if not fits:
        raise UnverifiedError(
            f"role {publisher!r} reaches {pattern!r}, expected '{publisher}/<package>/*/*/*'"
        )
    return package


def artifacts_in(publisher: Publisher, role: Targets) -> tuple[Artifact, ...]:
    """Return what a publisher's release role lists.

    Raises:
        InvalidError: a target outside the publisher's paths, one whose parts disagree, or a delegation.
    """
    if role.delegations is not None:
        raise InvalidError(
            f"role {publisher.name} v{role.version} delegates further, expected no delegations"
        )
    return tuple(_artifact(publisher, path, target) for path, target in role.targets.items())


def _artifact(publisher: Publisher, path: str, target: TargetFile) -> Artifact:
    artifact = artifact_of(path, target.length, target.hashes, target.custom)
    if artifact.path.publisher != publisher.name or artifact.path.package not in publisher.packages:
        raise InvalidError(
            f"target {path!r} is outside what role {publisher.name} may sign: "
            f"{list(release_paths(publisher.name, publisher.packages))}"
        )
    return artifact


def target_file(artifact: Artifact) -> TargetFile:
    """Return the artifact as its release role lists it."""
    return TargetFile(
        artifact.length,
        {"sha256": str(artifact.sha256)},
        str(artifact.path),
        {"custom": dict(custom_of(artifact))},
    )


def guard_target(publisher: str, role: Targets) -> TargetFile:
    """Return the one target of a guard role.

    Raises:
        InvalidError: it lists anything else, another hash than SHA-256 alone, or delegates.
    """
    path = guard_path(publisher)
    if role.delegations is not None or set(role.targets) != {path}:
        listed = sorted(role.targets)
        raise InvalidError(f"role {guard_role(publisher)} lists {listed}, expected {path!r} alone")
    target = role.targets[path]
    if set(target.hashes) != {"sha256"}:
        raise InvalidError(f"target {path!r} has the hashes {sorted(target.hashes)}, expected sha256 alone")
    return target
