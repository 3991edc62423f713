"""The state of the repository that clients see now: what `metadata/timestamp.json` reaches, and nothing else.

A higher version that lies in the store is an orphan of a crash or the work of a racer; it is never "current".
Everything read back is verified by signature, version and hash from the pinned root before it is built on.
Expiry is not asked for here: an expired timestamp is a base to sign a new one on. It is asked for of whatever
is about to be published or offered, by `outsider`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tuf.api.exceptions import LengthOrHashMismatchError

from distribution.catalog.delegation import Publisher, publishers_of, verifying
from distribution.catalog.outsider import Source
from distribution.errors import UnknownError, UnverifiedError
from keys.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp, read, verify
from keys.roles import (
    ROOT,
    ROOT_MAX_BYTES,
    SNAPSHOT,
    SNAPSHOT_MAX_BYTES,
    TARGETS,
    TARGETS_MAX_BYTES,
    TIMESTAMP,
    TIMESTAMP_MAX_BYTES,
)
from storage.errors import NotFoundError, TooLargeError
from storage.objects import ObjectStore

TIMESTAMP_KEY = "metadata/timestamp.json"
_ROOT_ROTATIONS_MAX = 256
_SOURCE_MAX_BYTES = TARGETS_MAX_BYTES
_STAMPED = re.compile(r"\d+\.(?P<name>.+)")


def metadata_key(role: str, version: int) -> str:
    """Return the key of one version of a role; only the timestamp is without a version."""
    return f"metadata/{version}.{role}.json"


@dataclass(frozen=True, slots=True)
class Current:
    """One consistent state. `timestamp_etag` is what a commit compares against."""

    root: Root
    timestamp: Timestamp
    timestamp_bytes: bytes
    timestamp_etag: str
    snapshot: Snapshot
    snapshot_bytes: bytes
    targets: Targets
    targets_bytes: bytes

    def meta_of(self, role: str) -> MetaFile | None:
        """Return what the snapshot says of a role, or None if the repository does not have it."""
        return self.snapshot.meta.get(f"{role}.json")

    def version_of(self, role: str) -> int:
        """Return the version of a role, 0 if the repository does not have it."""
        meta = self.meta_of(role)
        return 0 if meta is None else meta.version

    def holds(self, role: str, raw: bytes) -> bool:
        """Say whether exactly these bytes are the role's current file."""
        meta = self.meta_of(role)
        return meta is not None and meta == MetaFile.from_data(meta.version, raw, ["sha256"])

    def publisher(self, name: str) -> Publisher:
        """Return a publisher. Raises UnknownError."""
        publishers = publishers_of(self.targets)
        if name not in publishers:
            raise UnknownError(f"publisher {name!r} does not exist, there are {sorted(publishers)}")
        return publishers[name]


def read_current(store: ObjectStore, pinned_root: bytes) -> Current:
    """Return the current state, verified from the pinned root.

    Raises:
        UnverifiedError: something on the way does not verify or is missing.
        StorageError: the store cannot answer.
    """
    with verifying("current metadata"):
        root = _newest_root(store, pinned_root)
        timestamp_bytes, etag = _read(store, TIMESTAMP_KEY, TIMESTAMP_MAX_BYTES)
        timestamp = verify(root, TIMESTAMP, read(Timestamp, timestamp_bytes))
        meta = timestamp.snapshot_meta
        snapshot_bytes, _ = _read(store, metadata_key(SNAPSHOT, meta.version), SNAPSHOT_MAX_BYTES)
        _require_matches(SNAPSHOT, meta, snapshot_bytes)
        snapshot = verify(root, SNAPSHOT, read(Snapshot, snapshot_bytes))
        _require_version(SNAPSHOT, snapshot.version, meta.version)
        targets_bytes, metadata = _read_targets(store, snapshot, TARGETS)
        targets = verify(root, TARGETS, metadata)
    return Current(root, timestamp, timestamp_bytes, etag, snapshot, snapshot_bytes, targets, targets_bytes)


def read_role(store: ObjectStore, current: Current, role: str) -> Targets:
    """Return a publisher's role as `current` has it, verified by signature.

    Raises:
        UnknownError: the repository does not have the role.
        UnverifiedError: it does not verify.
    """
    if current.meta_of(role) is None:
        raise UnknownError(f"role {role!r} is not in the repository")
    with verifying("current metadata"):
        _, metadata = _read_targets(store, current.snapshot, role)
        return verify(current.targets, role, metadata)


def store_source(store: ObjectStore, overlay: Mapping[str, bytes] | None = None) -> Source:
    """Return the store, with `overlay` (by object key) laid over it, as an outsider's source."""
    candidate = dict(overlay or {})

    def fetch(key: str) -> Iterable[bytes]:
        if key in candidate:
            return [candidate[key]]
        try:
            return [store.read(key, _SOURCE_MAX_BYTES)[0]]
        except NotFoundError as exc:
            raise UnknownError(str(exc)) from exc

    return fetch


def _newest_root(store: ObjectStore, pinned_root: bytes) -> Root:
    metadata = read(Root, pinned_root)
    root = verify(metadata.signed, ROOT, metadata)
    for _ in range(_ROOT_ROTATIONS_MAX):
        try:
            raw, _info = store.read(metadata_key(ROOT, root.version + 1), ROOT_MAX_BYTES)
        except NotFoundError:
            return root
        candidate = read(Root, raw)
        verify(root, ROOT, candidate)  # TUF 5.3.4: by the old keys and by the new
        verify(candidate.signed, ROOT, candidate)
        _require_version(ROOT, candidate.signed.version, root.version + 1)
        root = candidate.signed
    raise UnverifiedError(f"root v{root.version} is more than {_ROOT_ROTATIONS_MAX} versions after the pin")


def _read_targets(store: ObjectStore, snapshot: Snapshot, role: str) -> tuple[bytes, Metadata[Targets]]:
    meta = snapshot.meta.get(f"{role}.json")
    if meta is None:
        raise UnverifiedError(f"role {role} is not in snapshot v{snapshot.version}")
    raw, _ = _read(store, metadata_key(role, meta.version), TARGETS_MAX_BYTES)
    _require_matches(role, meta, raw)
    metadata = read(Targets, raw)
    _require_version(role, metadata.signed.version, meta.version)
    return raw, metadata


def _read(store: ObjectStore, key: str, max_bytes: int) -> tuple[bytes, str]:
    try:
        raw, info = store.read(key, max_bytes)
    except (NotFoundError, TooLargeError) as exc:
        raise UnverifiedError(f"current metadata is not whole: {exc}") from exc
    return raw, info.etag


def _require_matches(role: str, meta: MetaFile, raw: bytes) -> None:
    try:
        meta.verify_length_and_hashes(raw)
    except LengthOrHashMismatchError as exc:
        raise UnverifiedError(
            f"role {role} v{meta.version} has other bytes than its meta says: {exc}"
        ) from exc


def _require_version(role: str, found: int, expected: int) -> None:
    if found != expected:
        raise UnverifiedError(f"role {role} has version {found} inside, expected {expected}")
