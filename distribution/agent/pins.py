"""What this host trusts: taken once from the enrollment token, never from what a server says.

    trust/trust.json        the pins: CA certificate, version and digest of the TUF root, the two addresses
    trust/<N>.root.json     the pinned root metadata, checked against its digest at every start

`trust.json` is written last: where it exists, the root lies beside it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distribution.agent.store import make_folder, write_file
from distribution.errors import HostError
from keys.errors import TrustError
from keys.trust import TokenString, ca_fingerprint

_FIELDS = ("trust_domain", "ca_pem", "tuf_root_version", "tuf_root_sha256", "agents_url", "downloads_url")


@dataclass(frozen=True, slots=True)
class Pins:
    """The pins, and the bytes of the pinned root."""

    trust_domain: str
    ca_pem: str
    tuf_root_version: int
    tuf_root_sha256: str
    agents_url: str
    downloads_url: str
    root: bytes


def from_token(token: TokenString, root: bytes) -> Pins:
    """Return the pins of a token, with the root that was fetched.

    Raises:
        TrustError: the root is not the pinned one; names both digests.
    """
    _require_root(root, token.tuf_root_version, token.tuf_root_sha256)
    return Pins(root=root, **{name: getattr(token, name) for name in _FIELDS})


def save(folder: Path, pins: Pins) -> None:
    """Keep the pins in the agent's folder. Raises HostError."""
    trust = make_folder(folder / "trust")
    write_file(trust / f"{pins.tuf_root_version}.root.json", pins.root, 0o644)
    document = {name: getattr(pins, name) for name in _FIELDS}
    write_file(trust / "trust.json", json.dumps(document, indent=1).encode() + b"\n", 0o644)


def load(folder: Path) -> Pins | None:
    """Return the pins of the agent's folder, or None before enrollment.

    Raises:
        TrustError: the kept root is not the pinned one.
        HostError: the files cannot be read.
    """
    trust = folder / "trust"
    try:
        document: Any = json.loads((trust / "trust.json").read_bytes())
        root = (trust / f"{document['tuf_root_version']}.root.json").read_bytes()
        pins = Pins(root=root, **{name: document[name] for name in _FIELDS})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise HostError(f"pins in {trust} cannot be read: {exc!r}") from exc
    _require_root(root, pins.tuf_root_version, pins.tuf_root_sha256)
    return pins


def require_same(pins: Pins, token: TokenString) -> None:
    """Refuse a token that would move this host to another trust. Raises TrustError naming both values."""
    for name in _FIELDS:
        mine, tokens = getattr(pins, name), getattr(token, name)
        if mine == tokens:
            continue
        if name == "ca_pem":
            mine, tokens = ca_fingerprint(mine), ca_fingerprint(tokens)
        raise TrustError(f"{name} of this host is {mine!r}, the token says {tokens!r}; use another folder")


def _require_root(root: bytes, version: int, sha256: str) -> None:
    found = hashlib.sha256(root).hexdigest()
    if found != sha256:
        raise TrustError(f"TUF root {version} has digest {found}, pinned is {sha256}")
