"""Refuses to start a server that holds a key it must not hold, or whose keys may do more than they should.

The server signs snapshots and timestamps. A server key listed for any other role could mint; a root, targets
or publisher's key in the server's folder could too, with or without being used. Either is said by name.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from keys.custody import open_tuf_signer
from keys.errors import CustodyError, RoleMisuseError
from keys.metadata import Root, Signer, Targets
from keys.roles import ONLINE_ROLES, SNAPSHOT, TIMESTAMP, roles_by_keyid

_PRIVATE = b" PRIVATE KEY-----"
_LOOK_BYTES = 16_384


def require_online_keys_only(
    root: Root, targets: Targets, snapshot: Signer, timestamp: Signer, places: tuple[Path, ...]
) -> None:
    """Check the server's keys against everything the verified metadata lists.

    Args:
        root: the current root, verified.
        targets: the current top-level targets, verified.
        snapshot: the server's snapshot signer.
        timestamp: the server's timestamp signer.
        places: the server's key files and folders; in a folder every file, at any depth, is looked at.

    Raises:
        RoleMisuseError: names the key, the role it stands in and, for a file, its path; also for a file
            that looks like a private key and cannot be opened to tell whose.
    """
    roles = roles_by_keyid(root, targets)
    for signer, own in ((snapshot, SNAPSHOT), (timestamp, TIMESTAMP)):
        keyid = signer.public_key.keyid
        listed = roles.get(keyid, ())
        for role in listed:
            if role != own:
                raise RoleMisuseError(f"server's {own} key {keyid} is listed for role {role} too")
        if own not in listed:
            raise RoleMisuseError(f"server's {own} key {keyid} is not listed for role {own}")
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            _require_harmless(path, roles)


def _require_harmless(path: Path, roles: Mapping[str, tuple[str, ...]]) -> None:
    if not path.is_file():
        return
    try:
        keyid = open_tuf_signer(f"file:{quote(str(path.absolute()))}").public_key.keyid
    except CustodyError as exc:
        if _looks_private(path):
            raise RoleMisuseError(f"file {str(path)!r} on the server may be any role's key: {exc}") from exc
        return
    for role in roles.get(keyid, ()):
        if role not in ONLINE_ROLES:
            raise RoleMisuseError(f"file {str(path)!r} on the server is key {keyid} of role {role}")


def _looks_private(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _PRIVATE in file.read(_LOOK_BYTES)
    except OSError:
        return False  # what this process cannot read it cannot sign with
