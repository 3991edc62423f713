"""TUF's roles as we use them: whose keys, how long a signature lives, and what a key must look like.

`root` and `targets` are offline and never on the server; `targets` delegates and holds nothing itself.
`snapshot` and `timestamp` are online, each with a key of its own, and can mint nothing. Publishers' roles
are delegated by `targets`, to keys that only the publisher has.

Every key is P-256, written `ecdsa`/`ecdsa-sha2-nistp256` with its PEM as we would write it, and its keyid
is the digest of that (TUF 4.2): so one key can never stand under two keyids and count twice towards a
threshold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from keys.errors import RoleMisuseError
from keys.metadata import DelegatedRole, Key, Root, Signer, Snapshot, SSlibKey, Targets, Timestamp

ROOT = Root.type
TARGETS = Targets.type
SNAPSHOT = Snapshot.type
TIMESTAMP = Timestamp.type
TOP_LEVEL_ROLES = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
OFFLINE_ROLES = (ROOT, TARGETS)
ONLINE_ROLES = (SNAPSHOT, TIMESTAMP)

ROOT_LIFETIME = timedelta(days=365)
TARGETS_LIFETIME = timedelta(days=365)
PUBLISHER_LIFETIME = timedelta(days=180)
SNAPSHOT_LIFETIME = timedelta(days=7)
TIMESTAMP_LIFETIME = timedelta(days=1)

# The caps TUF clients share; metadata over them would reach no client.
ROOT_MAX_BYTES = 512_000
TIMESTAMP_MAX_BYTES = 16_384
SNAPSHOT_MAX_BYTES = 2_000_000
TARGETS_MAX_BYTES = 5_000_000

_KEYTYPE = "ecdsa"
_SCHEME = "ecdsa-sha2-nistp256"


@dataclass(frozen=True, slots=True)
class Delegation:
    """What the offline `targets` keys hand out: these paths to that key. Threshold one, terminating."""

    role: str
    key: SSlibKey
    paths: tuple[str, ...]


def tuf_key(public_key: EllipticCurvePublicKey) -> SSlibKey:
    """Return the TUF form of a P-256 public key. Raises RoleMisuseError for another curve."""
    if not isinstance(public_key.curve, SECP256R1):
        raise RoleMisuseError(f"key is on curve {public_key.curve.name}, expected secp256r1 (P-256)")
    return SSlibKey.from_crypto(public_key)


def require_key(key: Key) -> SSlibKey:
    """Return `key` if it is a P-256 key in the one form we write, under its own digest as keyid.

    Raises:
        RoleMisuseError: another kind of key, another spelling of it, or a keyid that is not its digest.
    """
    if (key.keytype, key.scheme) != (_KEYTYPE, _SCHEME):
        raise RoleMisuseError(f"key {key.keyid} is {key.keytype}/{key.scheme}, expected {_KEYTYPE}/{_SCHEME}")
    try:
        public_key = load_pem_public_key(str(key.keyval.get("public")).encode())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise RoleMisuseError(f"key {key.keyid} holds no readable public key") from exc
    if not isinstance(public_key, EllipticCurvePublicKey):
        raise RoleMisuseError(f"key {key.keyid} holds a {type(public_key).__name__}, expected P-256")
    expected = tuf_key(public_key)
    if key != expected:
        raise RoleMisuseError(
            f"key {key.keyid} is not written as we write it, which has keyid {expected.keyid}"
        )
    return expected


def delegated_roles(targets: Targets) -> dict[str, DelegatedRole]:
    """Return the roles that `targets` delegates to, by name."""
    if targets.delegations is None or targets.delegations.roles is None:
        return {}
    return targets.delegations.roles


def delegated_keys(targets: Targets) -> dict[str, Key]:
    """Return the keys that `targets` delegates to, by keyid."""
    return {} if targets.delegations is None else targets.delegations.keys


def roles_by_keyid(root: Root, targets: Targets) -> Mapping[str, tuple[str, ...]]:
    """Return, for each keyid listed anywhere, the roles it may sign."""
    found: dict[str, list[str]] = {}
    for name, role in [*root.roles.items(), *delegated_roles(targets).items()]:
        for keyid in role.keyids:
            found.setdefault(keyid, []).append(name)
    return {keyid: tuple(names) for keyid, names in found.items()}


def require_signers(delegator: Root | Targets, role: str, signers: Sequence[Signer]) -> None:
    """Check before signing that these signers are the role's own and enough of them.

    Raises:
        RoleMisuseError: a signer's key is not listed for the role, or there are too few.
    """
    try:
        delegated = delegator.get_delegated_role(role)
    except ValueError as exc:
        raise RoleMisuseError(f"role {role} is not delegated") from exc
    keyids = {signer.public_key.keyid for signer in signers}
    for keyid in sorted(keyids):
        if keyid not in delegated.keyids:
            raise RoleMisuseError(f"key {keyid} is not listed for role {role}")
    if len(keyids) < delegated.threshold:
        raise RoleMisuseError(f"role {role} needs {delegated.threshold} keys, {len(keyids)} were given")
