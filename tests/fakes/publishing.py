"""A whole repository with its publishers, in a store, for tests that need signed metadata.

Keys are generated once a process: what a test proves never depends on which key it is.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from distribution.catalog import enlist, submission
from distribution.catalog.delegation import guard_role, target_file
from distribution.catalog.intake import take
from distribution.catalog.repository import Committed, Repository
from distribution.catalog.request import PublisherRequest, named
from distribution.domain.guard import Guard, guard_path
from distribution.domain.package import Artifact, Digest, PackageType, TargetPath
from keys.ceremony import delegate
from keys.metadata import (
    CryptoSigner,
    MetaFile,
    Root,
    Signer,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
    expiry,
    read,
    sign,
)
from keys.roles import PUBLISHER_LIFETIME, SNAPSHOT_LIFETIME, TIMESTAMP_LIFETIME
from storage.objects import ObjectStore
from tests.fakes.memory_store import MemoryStore

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
MAX_BYTES = 1 << 20
_KEYS: dict[str, CryptoSigner] = {}


def signer(name: str) -> CryptoSigner:
    """Return the process-wide test key of that name."""
    if name not in _KEYS:
        _KEYS[name] = CryptoSigner(ec.generate_private_key(ec.SECP256R1()))
    return _KEYS[name]


def artifact(path: str, body: bytes, kind: PackageType = PackageType.TOP_LEVEL) -> Artifact:
    """Return the artifact of these bytes at this path."""
    return Artifact(TargetPath.parse(path), kind, len(body), Digest(hashlib.sha256(body).digest()))


def role_bytes(
    name: str,
    version: int,
    targets: Sequence[TargetFile],
    *,
    key: str | None = None,
    expires: datetime = NOW + YEAR,
    extra: dict[str, object] | None = None,
) -> bytes:
    """Return a signed targets role; by default signed by the key named as the role."""
    signed = Targets(
        version=version,
        expires=expires,
        targets={target.path: target for target in targets},
        unrecognized_fields=extra,
    )
    return sign(signed, [signer(key or name)])


def guard_file(publisher: str, guard: Guard) -> TargetFile:
    """Return a guard as its role lists it."""
    return TargetFile.from_data(guard_path(publisher), guard.to_bytes(), ["sha256"])


def request(publisher: str, packages: tuple[str, ...], now: datetime = NOW) -> PublisherRequest:
    """Return a publisher's request with its proof, by the test keys named as its roles."""
    extra, ends = named(publisher, packages), expiry(now, PUBLISHER_LIFETIME)
    guard = Guard()
    return PublisherRequest(
        publisher=publisher,
        packages=packages,
        release_key=signer(publisher).public_key,
        guard_key=signer(guard_role(publisher)).public_key,
        release_role=role_bytes(publisher, 1, [], expires=ends, extra=extra),
        guard_role=role_bytes(
            guard_role(publisher), 1, [guard_file(publisher, guard)], expires=ends, extra=extra
        ),
        guard_file=guard.to_bytes(),
    )


@dataclass
class World:
    """A repository whose offline keys are at hand."""

    store: ObjectStore = field(default_factory=MemoryStore)
    now: datetime = NOW
    root: bytes = b""
    targets_signers: list[Signer] = field(default_factory=lambda: [signer("targets-1"), signer("targets-2")])

    def __post_init__(self) -> None:
        self.root = self._root()
        self.repository = Repository(self.store, self.root, signer("snapshot"), signer("timestamp"))
        targets = sign(Targets(expires=self.now + YEAR), self.targets_signers)
        snapshot = sign(
            Snapshot(
                expires=expiry(self.now, SNAPSHOT_LIFETIME),
                meta={"targets.json": MetaFile.from_data(1, targets, ["sha256"])},
            ),
            [signer("snapshot")],
        )
        timestamp = Timestamp(
            expires=expiry(self.now, TIMESTAMP_LIFETIME),
            snapshot_meta=MetaFile.from_data(1, snapshot, ["sha256"]),
        )
        self.repository.initialise(targets, snapshot, sign(timestamp, [signer("timestamp")]))

    def _root(self) -> bytes:
        root = Root(expires=self.now + YEAR, consistent_snapshot=True)
        for role, names in {
            "root": ["root-1", "root-2", "root-3"],
            "targets": ["targets-1", "targets-2", "targets-3"],
            "snapshot": ["snapshot"],
            "timestamp": ["timestamp"],
        }.items():
            for name in names:
                root.add_key(signer(name).public_key, role)
            root.roles[role].threshold = 2 if len(names) > 1 else 1
        return sign(root, [signer("root-1"), signer("root-2")])

    def another(self) -> Repository:
        """Return a second server's repository over the same store."""
        return Repository(self.store, self.root, signer("snapshot"), signer("timestamp"))

    def rival(self) -> "World":
        """Return the same world as a second server sees it."""
        other = World.__new__(World)
        other.__dict__ |= {**self.__dict__, "repository": self.another()}
        return other

    def add_publisher(self, name: str = "acme", packages: tuple[str, ...] = ("otelcol",)) -> Committed:
        """Delegate to a publisher with test keys and commit it."""
        return self.enlist(request(name, packages, self.now))

    def enlist(self, asked: PublisherRequest) -> Committed:
        """Delegate as a request asks, and commit it."""
        current = self.repository.current()
        name = asked.publisher
        targets = delegate(
            current.targets_bytes,
            asked.delegations(),
            self.targets_signers,
            root=read(Root, self.root).signed,
            now=self.now,
        )
        enlisted = enlist.accept(
            self.store,
            current,
            targets,
            roles={name: asked.release_role, guard_role(name): asked.guard_role},
            files={guard_path(name): asked.guard_file},
            now=self.now,
        )
        return self.repository.commit(enlisted.roles, self.now, based_on=current)

    def upload(self, path: str, body: bytes) -> None:
        """Store a target's bytes."""
        take(self.store, path, Digest(hashlib.sha256(body).digest()), [body], MAX_BYTES)

    def next_release_role(
        self, publisher: str, files: Mapping[str, bytes], kind: PackageType = PackageType.TOP_LEVEL
    ) -> bytes:
        """Return the publisher's next role, signed on the current one, with these files added."""
        current = self.repository.current()
        raw, _ = self.store.read(f"metadata/{current.version_of(publisher)}.{publisher}.json", MAX_BYTES)
        role = read(Targets, raw).signed
        added = [target_file(artifact(path, body, kind)) for path, body in files.items()]
        return role_bytes(publisher, role.version + 1, [*role.targets.values(), *added])

    def release(self, publisher: str, files: Mapping[str, bytes]) -> Committed:
        """Upload, sign, accept and commit files of a publisher."""
        for path, body in files.items():
            self.upload(path, body)
        return self.submit(publisher, self.next_release_role(publisher, files))

    def submit(self, role: str, body: bytes) -> Committed:
        """Accept and commit a signed role."""
        current = self.repository.current()
        accepted = submission.accept(self.store, current, role, body, self.now)
        return self.repository.commit({role: accepted.body}, self.now, based_on=current)
