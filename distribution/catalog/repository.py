"""Commits to the TUF repository in the object store: all of a change at once, or nothing of it.

Order of a commit (the bytes of targets are there before it, see `intake`):

1. the candidate is verified as an outsider would, from the pinned root, before anything is written;
2. each role, create-once: a name that is taken by other bytes is a racer's or an orphan's, and is left alone;
3. the snapshot, create-once, under the next version that is free;
4. ONE compare-and-set of `metadata/timestamp.json`. This is the commit: before it every client sees the old
   state, after it the new one, and a crash between any two writes leaves an orphan that nobody reaches.

Whoever loses at 4 reads again. Roles that nobody else touched are committed on top; a role that somebody else
touched is refused, because only its publisher can decide again. This file signs with the snapshot and
timestamp keys alone and can mint nothing.
"""

import contextlib
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from distribution.catalog.current import (
    TIMESTAMP_KEY,
    Current,
    metadata_key,
    read_current,
    store_source,
)
from distribution.catalog.delegation import verifying
from distribution.catalog.outsider import Outsider
from distribution.errors import ConflictError, UnknownError, UnverifiedError
from keys.metadata import MetaFile, Signer, Snapshot, Targets, Timestamp, expiry, read, sign
from keys.roles import (
    ROOT,
    SNAPSHOT,
    SNAPSHOT_LIFETIME,
    TARGETS,
    TARGETS_MAX_BYTES,
    TIMESTAMP,
    TIMESTAMP_LIFETIME,
    require_signers,
)
from storage.errors import AlreadyExistsError, NotFoundError, PreconditionError
from storage.objects import ObjectStore

TIMESTAMP_MIN_LEFT = timedelta(hours=18)
SNAPSHOT_MIN_LEFT = timedelta(days=3)
_ATTEMPTS = 32


@dataclass(frozen=True, slots=True)
class Committed:
    """The state that clients see from now on."""

    snapshot_version: int
    timestamp_version: int


class Repository:
    """The repository as its server: it chooses what is current among what others signed. Thread-safe."""

    def __init__(
        self, store: ObjectStore, root: bytes, snapshot_signer: Signer, timestamp_signer: Signer
    ) -> None:
        """Serve the repository in `store`, trusting the pinned `root` metadata alone."""
        self._store = store
        self._root = root
        self._snapshot_signer = snapshot_signer
        self._timestamp_signer = timestamp_signer
        self._lock = threading.Lock()
        self._seen_lock = threading.Lock()
        self._seen = 0

    def initialise(self, targets: bytes, snapshot: bytes, timestamp: bytes) -> None:
        """Write the first metadata of a new repository; the pinned root MUST be version 1.

        Doing it again is no error, and finishes what a crash left.

        Raises:
            ConflictError: the store holds another repository.
            UnverifiedError: the metadata does not verify from the root.
        """
        files = {
            metadata_key(ROOT, 1): self._root,
            metadata_key(TARGETS, 1): targets,
            metadata_key(SNAPSHOT, 1): snapshot,
        }
        for key, body in files.items():
            self._create(key, body)
        with contextlib.suppress(AlreadyExistsError):
            # A repository that has begun is one of our root's, or the next line says that it is not.
            self._store.create(TIMESTAMP_KEY, timestamp)
        self.current()

    def current(self) -> Current:
        """Return the state that clients see now, verified. Raises UnverifiedError, also if it went back."""
        seen = self._seen
        current = read_current(self._store, self._root)
        version = current.timestamp.version
        if version < seen:
            raise UnverifiedError(f"timestamp went back to v{version}, v{seen} was seen")
        self._remember(version)
        return current

    def commit(self, roles: Mapping[str, bytes], now: datetime, *, based_on: Current) -> Committed:
        """Make signed roles current, all of them in one step.

        Args:
            roles: signed files by role name: `targets` or publishers' roles.
            now: aware UTC.
            based_on: the state against which the caller accepted these roles.

        Raises:
            ConflictError: somebody else committed one of these roles since; nothing was changed.
            UnverifiedError: an outsider would refuse the result; nothing was changed.
            StorageError: the store did not answer; the commit may or may not have happened, and doing it
                again with the same bytes is safe.
        """
        with self._lock:
            for _ in range(_ATTEMPTS):
                current = self.current()
                changed = _changed(current, roles, based_on)
                if not changed:
                    return Committed(current.snapshot.version, current.timestamp.version)
                committed = self._attempt(current, changed, now)
                if committed is not None:
                    return committed
        raise ConflictError(f"roles {sorted(roles)} lost {_ATTEMPTS} races for the timestamp, try again")

    def refresh(self, now: datetime) -> Committed | None:
        """Sign timestamp and snapshot again where they near their end; return None if neither did.

        Raises:
            UnverifiedError: as in `commit`. ConflictError: others kept committing, so it is fresh already.
        """
        with self._lock:
            for _ in range(_ATTEMPTS):
                current = self.current()
                if current.timestamp.expires - now > TIMESTAMP_MIN_LEFT and (
                    current.snapshot.expires - now > SNAPSHOT_MIN_LEFT
                ):
                    return None
                committed = self._attempt(current, {}, now)
                if committed is not None:
                    return committed
        raise ConflictError(f"refresh lost {_ATTEMPTS} races for the timestamp")

    def _attempt(self, current: Current, roles: Mapping[str, bytes], now: datetime) -> Committed | None:
        with verifying("server's own keys"):
            require_signers(current.root, SNAPSHOT, [self._snapshot_signer])
            require_signers(current.root, TIMESTAMP, [self._timestamp_signer])
        snapshot = current.snapshot
        files = {metadata_key(name, _version(name, raw)): raw for name, raw in roles.items()}
        if roles or snapshot.expires - now <= SNAPSHOT_MIN_LEFT:
            snapshot = self._next_snapshot(current, roles, now)
        meta, snapshot_bytes = current.timestamp.snapshot_meta, current.snapshot_bytes
        if snapshot is not current.snapshot:
            snapshot_bytes = sign(snapshot, [self._snapshot_signer])
            meta = MetaFile.from_data(snapshot.version, snapshot_bytes, ["sha256"])
            files[metadata_key(SNAPSHOT, snapshot.version)] = snapshot_bytes
        timestamp = Timestamp(
            version=current.timestamp.version + 1,
            expires=expiry(now, TIMESTAMP_LIFETIME),
            snapshot_meta=meta,
        )
        timestamp_bytes = sign(timestamp, [self._timestamp_signer])
        self._require_outsider_accepts(current, {**files, TIMESTAMP_KEY: timestamp_bytes}, roles, now)
        if not self._write(current, files, timestamp_bytes):
            return None
        self._remember(timestamp.version)
        return Committed(snapshot.version, timestamp.version)

    def _next_snapshot(self, current: Current, roles: Mapping[str, bytes], now: datetime) -> Snapshot:
        meta = dict(current.snapshot.meta)
        for name, raw in roles.items():
            meta[f"{name}.json"] = MetaFile.from_data(_version(name, raw), raw, ["sha256"])
        version = current.snapshot.version + 1
        while self._exists(metadata_key(SNAPSHOT, version)):  # an orphan's, or a racer's
            version += 1
        return Snapshot(version=version, expires=expiry(now, SNAPSHOT_LIFETIME), meta=meta)

    def _require_outsider_accepts(
        self, current: Current, candidate: Mapping[str, bytes], roles: Mapping[str, bytes], now: datetime
    ) -> None:
        with tempfile.TemporaryDirectory(prefix="outsider-") as name:
            folder = Path(name)
            # An outsider who saw the current state must be able to go on to the next.
            (folder / "timestamp.json").write_bytes(current.timestamp_bytes)
            (folder / "snapshot.json").write_bytes(current.snapshot_bytes)
            outsider = Outsider(store_source(self._store, candidate), self._root, folder, now)
            for role in sorted(roles):
                if role != TARGETS:
                    outsider.role(role)
            if outsider.timestamp.version == current.timestamp.version:
                raise UnverifiedError(f"timestamp v{current.timestamp.version} did not advance")

    def _write(self, current: Current, files: Mapping[str, bytes], timestamp: bytes) -> bool:
        roles = [key for key in files if not key.endswith(f".{SNAPSHOT}.json")]
        for key in roles:
            self._create(key, files[key])
        try:
            for key in files.keys() - set(roles):
                self._store.create(key, files[key])
            self._store.replace(TIMESTAMP_KEY, timestamp, current.timestamp_etag)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def _create(self, key: str, body: bytes) -> None:
        try:
            self._store.create(key, body)
        except AlreadyExistsError as exc:
            found, _ = self._store.read(key, max_bytes=max(TARGETS_MAX_BYTES, len(body)))
            if found != body:
                raise ConflictError(f"{key!r} is taken by other bytes, sign the next version") from exc

    def _remember(self, timestamp_version: int) -> None:
        with self._seen_lock:
            self._seen = max(self._seen, timestamp_version)

    def _exists(self, key: str) -> bool:
        try:
            self._store.head(key)
        except NotFoundError:
            return False
        return True


def _version(role: str, raw: bytes) -> int:
    with verifying(f"role {role}"):
        return read(Targets, raw).signed.version


def _changed(current: Current, roles: Mapping[str, bytes], based_on: Current) -> dict[str, bytes]:
    changed = {}
    for name, raw in roles.items():
        if name in (ROOT, SNAPSHOT, TIMESTAMP):
            raise UnknownError(f"role {name} is not one that can be committed")
        if current.holds(name, raw):
            continue
        version, now_at, was_at = _version(name, raw), current.version_of(name), based_on.version_of(name)
        if now_at != was_at or version <= now_at:
            raise ConflictError(f"role {name} v{version} was signed on v{was_at}, v{now_at} is current")
        changed[name] = raw
    return changed
