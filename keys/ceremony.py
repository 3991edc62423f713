"""Offline signing: the first trust, and the delegations of `targets`.

`create_tuf` makes every top-level key and the first version of every top-level role; the offline keys go to a
folder apart from the server's. `delegate` signs the next `targets` for a publisher. Both run where the
offline keys are, never on the server. Keys are on disk before anything that names them exists (write-ahead).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keys import custody
from keys.errors import RoleMisuseError
from keys.metadata import (
    DelegatedRole,
    Delegations,
    MetaFile,
    Root,
    Signer,
    Snapshot,
    SSlibKey,
    Targets,
    Timestamp,
    expiry,
    read,
    sign,
    verify,
)
from keys.roles import (
    ONLINE_ROLES,
    ROOT,
    ROOT_LIFETIME,
    SNAPSHOT,
    SNAPSHOT_LIFETIME,
    TARGETS,
    TARGETS_LIFETIME,
    TIMESTAMP,
    TIMESTAMP_LIFETIME,
    Delegation,
    delegated_keys,
    delegated_roles,
    require_key,
    require_signers,
    roles_by_keyid,
)


@dataclass(frozen=True, slots=True)
class FirstMetadata:
    """The first version of each top-level role, as the files clients read, and where their keys are."""

    root: bytes
    targets: bytes
    snapshot: bytes
    timestamp: bytes
    offline_keys: tuple[Path, ...]
    online_keys: tuple[Path, ...]


def create_tuf(
    *, offline: Path, online: Path, now: datetime, threshold: int = 2, holders: int = 3
) -> FirstMetadata:
    """Make the keys and the first metadata of a repository.

    Args:
        offline: existing folder that gets `root-<n>.pem` and `targets-<n>.pem`, one file a holder.
        online: existing folder of the server that gets `snapshot.pem` and `timestamp.pem`.
        now: aware UTC.
        threshold: how many holders must sign, of
        holders: how many there are; 1 of 1 is for throw-away set-ups.

    Raises:
        CustodyError: a key file exists already; nothing that was there is touched.
        RoleMisuseError: the folders are the same, or the threshold is not between 1 and `holders`.
    """
    if offline.resolve() == online.resolve():
        raise RoleMisuseError(f"offline keys cannot be in the server's own folder, {str(online)!r}")
    if not 1 <= threshold <= holders:
        raise RoleMisuseError(f"threshold {threshold} is not between 1 and the {holders} holders")
    names = range(1, holders + 1)
    files = {
        ROOT: [offline / f"root-{number}.pem" for number in names],
        TARGETS: [offline / f"targets-{number}.pem" for number in names],
        SNAPSHOT: [online / "snapshot.pem"],
        TIMESTAMP: [online / "timestamp.pem"],
    }
    signers = {role: [_new_signer(path) for path in paths] for role, paths in files.items()}
    root = Root(expires=expiry(now, ROOT_LIFETIME), consistent_snapshot=True)
    for role, ours in signers.items():
        for signer in ours:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = 1 if role in ONLINE_ROLES else threshold
    return _first_metadata(root, signers, files, now)


def _new_signer(path: Path) -> Signer:
    custody.write_private_key(path, custody.new_private_key())
    return custody.open_tuf_signer(custody.file_uri(path))


def _first_metadata(
    root: Root, signers: dict[str, list[Signer]], files: dict[str, list[Path]], now: datetime
) -> FirstMetadata:
    targets = sign(Targets(expires=expiry(now, TARGETS_LIFETIME)), signers[TARGETS])
    snapshot = sign(
        Snapshot(
            expires=expiry(now, SNAPSHOT_LIFETIME),
            meta={"targets.json": MetaFile.from_data(1, targets, ["sha256"])},
        ),
        signers[SNAPSHOT],
    )
    timestamp = Timestamp(
        expires=expiry(now, TIMESTAMP_LIFETIME), snapshot_meta=MetaFile.from_data(1, snapshot, ["sha256"])
    )
    return FirstMetadata(
        root=sign(root, signers[ROOT]),
        targets=targets,
        snapshot=snapshot,
        timestamp=sign(timestamp, signers[TIMESTAMP]),
        offline_keys=(*files[ROOT], *files[TARGETS]),
        online_keys=(*files[SNAPSHOT], *files[TIMESTAMP]),
    )


def delegate(
    targets_bytes: bytes,
    delegations: Iterable[Delegation],
    signers: Sequence[Signer],
    *,
    root: Root,
    now: datetime,
) -> bytes:
    """Return the next `targets`, which delegates as before and to `delegations` too.

    A role that is delegated already keeps its key and may only be given more paths.

    Args:
        targets_bytes: the current `targets` file; it is verified from `root` first.
        delegations: what to add; the caller has seen proof that the publishers hold these keys.
        signers: the offline keys, at least as many as the threshold.
        root: the root this caller has pinned or walked to from its pin.
        now: aware UTC.

    Raises:
        TrustError: the current `targets` does not verify.
        RoleMisuseError: a signer is not of `targets` or there are too few; a key stands in another role; a
            delegated role would change its key or lose a path.
    """
    targets = verify(root, TARGETS, read(Targets, targets_bytes))
    require_signers(root, TARGETS, signers)
    roles, keys = dict(delegated_roles(targets)), dict(delegated_keys(targets))
    for delegation in delegations:
        key = require_key(delegation.key)
        _require_unused(root, targets, delegation)
        _require_widening(roles.get(delegation.role), delegation)
        _require_one_role_a_key(roles, delegation.role, key)
        keys[key.keyid] = key
        roles[delegation.role] = DelegatedRole(
            delegation.role, [key.keyid], threshold=1, terminating=True, paths=sorted(delegation.paths)
        )
    targets.delegations = Delegations(keys, roles)
    targets.version += 1
    targets.expires = expiry(now, TARGETS_LIFETIME)
    signed = sign(targets, signers)
    verify(root, TARGETS, read(Targets, signed))
    return signed


def _require_unused(root: Root, targets: Targets, delegation: Delegation) -> None:
    others = [
        role
        for role in roles_by_keyid(root, targets).get(delegation.key.keyid, ())
        if role != delegation.role
    ]
    if others:
        raise RoleMisuseError(
            f"key {delegation.key.keyid} of role {delegation.role} is listed for role {others[0]} already"
        )


def _require_one_role_a_key(roles: dict[str, DelegatedRole], name: str, key: SSlibKey) -> None:
    for other, role in roles.items():
        if other != name and key.keyid in role.keyids:
            raise RoleMisuseError(f"key {key.keyid} is given to both {other} and {name}")


def _require_widening(before: DelegatedRole | None, delegation: Delegation) -> None:
    if before is None:
        return
    if before.keyids != [delegation.key.keyid]:
        raise RoleMisuseError(
            f"role {delegation.role} is delegated to key {before.keyids[0]}, not to {delegation.key.keyid}"
        )
    lost = sorted(set(before.paths or ()) - set(delegation.paths))
    if lost:
        raise RoleMisuseError(f"role {delegation.role} would lose the path {lost[0]!r}")
