"""TUF metadata as bytes: read, sign, verify. The one place where the TUF library's model comes in.

Other files take `Root`, `Targets` and their kin from here. Reading proves nothing: what was read MUST be
verified by its delegator, and its expiry asked for, before it is believed. Dates are UTC without
microseconds. JSON is compact on the wire and canonical under the signature.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

# Neither library marks what it re-exports, so a strict checker takes their public names for private ones.
from securesystemslib.signer import CryptoSigner, Key, Signer, SSlibKey  # type: ignore[attr-defined]
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import (  # type: ignore[attr-defined]
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from keys.errors import RoleMisuseError, TrustError

__all__ = [
    "CryptoSigner",
    "DelegatedRole",
    "Delegations",
    "Key",
    "MetaFile",
    "Metadata",
    "Role",
    "Root",
    "SSlibKey",
    "Signed",
    "Signer",
    "Snapshot",
    "SuccinctRoles",
    "TargetFile",
    "Targets",
    "Timestamp",
    "expiry",
    "read",
    "require_fresh",
    "sign",
    "verify",
]

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


def expiry(now: datetime, lifetime: timedelta) -> datetime:
    """Return when a signature made at `now` (aware UTC) ends, without microseconds."""
    return (now.astimezone(UTC) + lifetime).replace(microsecond=0)


def sign(signed: S, signers: Iterable[Signer]) -> bytes:
    """Return the metadata file of `signed` with one signature of each signer, as compact JSON.

    Raises:
        RoleMisuseError: a signer could not sign.
    """
    metadata = Metadata(signed)
    for signer in signers:
        try:
            metadata.sign(signer, append=True)
        except UnsignedMetadataError as exc:
            raise RoleMisuseError(f"key {signer.public_key.keyid} could not sign {signed.type}") from exc
    return metadata.to_bytes(JSONSerializer(compact=True))


def read(kind: type[S], raw: bytes) -> Metadata[S]:
    """Parse a metadata file. Nothing is verified: the caller MUST verify it by its delegator next.

    Raises:
        TrustError: the bytes are no metadata, or of another kind.
    """
    try:
        metadata = Metadata[S].from_bytes(raw)
    except RepositoryError as exc:
        raise TrustError(f"{len(raw)} bytes are no TUF metadata, expected a {kind.type} role") from exc
    if not isinstance(metadata.signed, kind):
        raise TrustError(f"metadata is of type {metadata.signed.type!r}, expected {kind.type!r}")
    return metadata


def verify(delegator: Root | Targets, role: str, metadata: Metadata[S]) -> S:
    """Return the content of `metadata` if the threshold of the role's keys signed it (TUF 5.3.4, 5.6.3).

    Raises:
        TrustError: too few good signatures, or the delegator names no such role.
    """
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as exc:
        raise TrustError(f"role {role} v{metadata.signed.version} does not verify: {exc}") from exc
    return metadata.signed


def require_fresh(role: str, signed: Signed, now: datetime) -> None:
    """Refuse metadata that has expired at `now` (aware UTC). Raises TrustError with both times."""
    if signed.is_expired(now):
        ends = f"{signed.expires:%Y-%m-%dT%H:%M:%SZ}"
        raise TrustError(f"role {role} v{signed.version} expired at {ends}, it is {now:%Y-%m-%dT%H:%M:%SZ}")
