"""A small TUF repository in memory, with keys of its own; it can be told to misbehave.

Honest use: `add_release`, `set_floor`, `publish`. A stolen server holds `snapshot_signer` and
`timestamp_signer`, so it may sign those two roles over anything (`resign_online`) and change any stored
byte (`files`), but it has no other key.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer
from tuf.ngclient import FetcherInterface

from distribution.domain.package import Digest, PackageType, TargetPath

BASE_URL = "https://downloads.example:4321"


class TufRepository:
    """One publisher's repository. `files` is what a downloads listener would serve, by path."""

    def __init__(self, publisher: str = "acme", *, life: timedelta = timedelta(days=30)) -> None:
        self.publisher = publisher
        self.guard_role = f"{publisher}-guard"
        self.files: dict[str, bytes] = {}
        self._expires = (datetime.now(UTC) + life).replace(microsecond=0)
        roles = ("root", "targets", "snapshot", "timestamp", publisher, self.guard_role)
        self._signers = {role: CryptoSigner.generate_ecdsa() for role in roles}
        self.snapshot_signer = self._signers["snapshot"]
        self.timestamp_signer = self._signers["timestamp"]
        self.root = self._first_root()
        self.release = Targets(expires=self._expires)
        self.guard = Targets(expires=self._expires)
        self.snapshot = Snapshot(expires=self._expires)
        self.timestamp = Timestamp(expires=self._expires)
        self._targets = self._first_targets()
        self.set_floors({})
        self.publish()

    def _first_root(self) -> bytes:
        root = Root(expires=self._expires, consistent_snapshot=True)
        for role in ("root", "targets", "snapshot", "timestamp"):
            root.add_key(self._signers[role].public_key, role)
        raw = self._sign(root, "root")
        self.files["metadata/1.root.json"] = raw
        return raw

    def _first_targets(self) -> Targets:
        paths = {
            self.publisher: [f"{self.publisher}/*/*/*/*"],
            self.guard_role: [f"guard/{self.publisher}/*"],
        }
        keys = {role: self._signers[role].public_key for role in paths}
        roles = {
            role: DelegatedRole(role, [keys[role].keyid], 1, terminating=True, paths=patterns)
            for role, patterns in paths.items()
        }
        delegations = Delegations({key.keyid: key for key in keys.values()}, roles)
        targets = Targets(expires=self._expires, delegations=delegations)
        self.files["metadata/1.targets.json"] = self._sign(targets, "targets")
        return targets

    def _sign(self, signed: Signed, role: str) -> bytes:
        return sign(signed, self._signers[role])

    def add_release(
        self, path: str, data: bytes, kind: PackageType = PackageType.TOP_LEVEL, **custom: str
    ) -> Digest:
        """Store bytes and sign them as a target; `custom` overrides what its description says."""
        target = TargetPath.parse(path)
        digest = Digest(hashlib.sha256(data).digest())
        described = {
            "package": target.package,
            "version": str(target.version),
            "type": kind.value,
            "platform": target.platform,
            **custom,
        }
        self.release.targets[path] = TargetFile(
            len(data), {"sha256": str(digest)}, path, {"custom": described}
        )
        self.files[f"targets/{target.hashed(digest)}"] = data
        return digest

    def set_floors(self, floors: dict[str, str]) -> None:
        """Sign a guard document with these floors."""
        self.set_guard(json.dumps({"floors": floors}).encode())

    def set_guard(self, data: bytes) -> None:
        """Sign any bytes as the guard document."""
        path = f"guard/{self.publisher}/guard.json"
        digest = hashlib.sha256(data).hexdigest()
        self.guard.targets = {path: TargetFile(len(data), {"sha256": digest}, path)}
        self.files[f"targets/guard/{self.publisher}/{digest}.guard.json"] = data

    def publish(self) -> None:
        """Sign the next version of what publishers sign, and the two online roles over it."""
        for role, targets in ((self.publisher, self.release), (self.guard_role, self.guard)):
            self.files[f"metadata/{targets.version}.{role}.json"] = self._sign(targets, role)
            self.snapshot.meta[f"{role}.json"] = MetaFile(targets.version)
            targets.version += 1
        self.snapshot.meta["targets.json"] = MetaFile(self._targets.version)
        self.resign_online()

    def resign_online(self) -> None:
        """Sign the next snapshot and timestamp: all that a stolen server can sign."""
        version = self.snapshot.version
        self.files[f"metadata/{version}.snapshot.json"] = self._sign(self.snapshot, "snapshot")
        self.timestamp.snapshot_meta = MetaFile(version)
        self.files["metadata/timestamp.json"] = self._sign(self.timestamp, "timestamp")
        self.snapshot.version += 1
        self.timestamp.version += 1

    def expire_online(self) -> None:
        """Let the timestamp run out."""
        self.timestamp.expires = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self.resign_online()

    def target_file(self, path: str) -> str:
        """Return under which name the bytes of a target are served."""
        target = TargetPath.parse(path)
        return f"targets/{target.hashed(Digest.from_hex(self.release.targets[path].hashes['sha256']))}"


def sign(signed: Signed, signer: CryptoSigner) -> bytes:
    """Return metadata signed with one key."""
    metadata = Metadata(signed)
    metadata.sign(signer)
    return metadata.to_bytes(JSONSerializer(compact=True))


class RepositoryFetcher(FetcherInterface):
    """Serves a repository's files; what is missing is a 404. `asked` keeps every address."""

    def __init__(self, repository: TufRepository) -> None:
        self.repository = repository
        self.asked: list[str] = []

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.asked.append(url)
        name = urlsplit(url).path.lstrip("/")
        data = self.repository.files.get(name)
        if data is None:
            raise DownloadHTTPError(f"{url} answered 404", 404)
        return iter([data[start : start + 7] for start in range(0, len(data), 7)] or [b""])
