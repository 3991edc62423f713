"""Makes the certificate hierarchy, once: root CA, issuing CA, server's certificate.

    root CA  (key offline)  ──  issuing CA  (key on the server, clients only)  ──  agents
                            └─  server's certificate  (key on the server)

Rules:

1. The root's key goes to the offline folder and is used for nothing after this but another issuing CA or
   server certificate. The two folders must not be the same or inside one another.
2. Everything is made and checked in memory first; keys are on disk before the certificates that name them.
3. Nothing is overwritten: a folder that holds one of these files is refused before anything is written.

Certificates are public; keys are written by `keys.custody` alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from keys.certificate import Serial
from keys.custody import new_private_key, write_once, write_private_key
from keys.errors import KeysError
from keys.profile import BACKDATE_MAX, issuing_ca, root_ca, server, window

ROOT_KEY: Final = "ca-root.key.pem"
ROOT_CERTIFICATE: Final = "ca-root.pem"
ISSUING_KEY: Final = "ca-issuing.key.pem"
ISSUING_CERTIFICATE: Final = "ca-issuing.pem"
SERVER_KEY: Final = "server.key.pem"
SERVER_CERTIFICATE: Final = "server.pem"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long the certificates of the hierarchy hold."""

    root: timedelta = timedelta(days=3650)
    issuing: timedelta = timedelta(days=730)
    server: timedelta = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where everything lies. The server is given all of it but `root_key`; agents pin `root_certificate`."""

    root_key: Path
    root_certificate: Path
    issuing_key: Path
    issuing_certificate: Path
    server_key: Path
    server_certificate: Path


@dataclass(frozen=True, slots=True)
class _Made:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def create_hierarchy(
    *,
    trust_domain: str,
    hosts: Sequence[str],
    offline: Path,
    online: Path,
    new_serial: Callable[[], Serial],
    now: datetime,
    lifetimes: Lifetimes | None = None,
) -> Hierarchy:
    """Make the keys and certificates, and write them.

    Args:
        trust_domain: of the agents' names.
        hosts: DNS names and IP addresses under which agents and operators reach the server.
        offline: existing folder for the root's key; to be moved away from the server.
        online: existing folder for everything the server holds.
        new_serial: returns 16 to 19 random bytes as a serial, other ones at each call.
        now: aware UTC.
        lifetimes: how long each holds.

    Raises:
        KeysError: the folders are not apart, a file exists already, or a name cannot be certified.
        CustodyError: a key could not be written. IssuerError: a certificate would outlive the root.
    """
    _require_apart(offline, online)
    places = _places(offline, online)
    _require_free(places)
    lives = lifetimes or Lifetimes()
    root = _make_root(trust_domain, new_serial(), now, lives.root)
    issuing = _make_issuing(trust_domain, root, new_serial(), now, lives.issuing)
    key = new_private_key()
    leaf = server_certificate(
        hosts,
        key.public_key(),
        root.certificate,
        root.key,
        serial=new_serial(),
        now=now,
        validity=lives.server,
    )
    _write(places.root_key, places.root_certificate, root)
    _write(places.issuing_key, places.issuing_certificate, issuing)
    _write(places.server_key, places.server_certificate, _Made(key, leaf))
    return places


def _places(offline: Path, online: Path) -> Hierarchy:
    return Hierarchy(
        root_key=offline / ROOT_KEY,
        root_certificate=online / ROOT_CERTIFICATE,
        issuing_key=online / ISSUING_KEY,
        issuing_certificate=online / ISSUING_CERTIFICATE,
        server_key=online / SERVER_KEY,
        server_certificate=online / SERVER_CERTIFICATE,
    )


def server_certificate(
    hosts: Sequence[str],
    public_key: ec.EllipticCurvePublicKey,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    *,
    serial: Serial,
    now: datetime,
    validity: timedelta,
) -> x509.Certificate:
    """Return a new certificate for a server's key, signed by the root.

    Raises:
        KeysError: a host cannot be certified. IssuerError: it would outlive the root.
    """
    holds = window(now, validity, BACKDATE_MAX, root)
    return _sign(server(hosts, public_key=public_key, issuer=root, serial=serial, holds=holds), root_key)


def _make_root(trust_domain: str, serial: Serial, now: datetime, validity: timedelta) -> _Made:
    key = new_private_key()
    holds = window(now, validity, BACKDATE_MAX, None)
    return _Made(
        key, _sign(root_ca(trust_domain, public_key=key.public_key(), serial=serial, holds=holds), key)
    )


def _make_issuing(
    trust_domain: str, root: _Made, serial: Serial, now: datetime, validity: timedelta
) -> _Made:
    key = new_private_key()
    holds = window(now, validity, BACKDATE_MAX, root.certificate)
    builder = issuing_ca(
        trust_domain, public_key=key.public_key(), issuer=root.certificate, serial=serial, holds=holds
    )
    return _Made(key, _sign(builder, root.key))


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)


def _require_apart(offline: Path, online: Path) -> None:
    apart, beside = offline.resolve(), online.resolve()
    if apart == beside or apart in beside.parents or beside in apart.parents:
        raise KeysError(f"offline folder {str(offline)!r} is not apart from the server's {str(online)!r}")


def _require_free(places: Hierarchy) -> None:
    for field in fields(places):
        path: Path = getattr(places, field.name)
        if path.exists() or path.is_symlink():
            raise KeysError(f"{str(path)!r} exists already, nothing is overwritten")


def _write(key: Path, certificate: Path, made: _Made) -> None:
    """Write a key, then the certificate that names it; each is whole and durable once its name exists."""
    write_private_key(key, made.key)
    write_once(certificate, made.certificate.public_bytes(Encoding.PEM), mode=0o644)
