"""What our certificates look like, field by field, as builders that still lack a signature.

Rules, for every certificate of ours:

1. ECDSA on P-256, signed with SHA-256; the serial is 16 to 19 random bytes (RFC 5280 4.1.2.2).
2. An agent's certificate names its agent in the one critical URI name and nowhere else: its subject is empty
   (RFC 5280 4.1.2.6). It can sign a handshake as a client, and nothing else.
3. The issuing CA cannot make another CA (path length 0) and can make clients only (its own EKU).
   A server's certificate comes from the root itself, so a stolen issuing key cannot pose as our server.
4. No certificate outlives its issuer. Where one would, we refuse; we never shorten silently.

Pure: times, serials and keys come in as arguments, and nothing is signed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keys.certificate import Serial
from keys.errors import IssuerError, KeysError, RefusedError
from keys.identity import AgentId, require_trust_domain, spiffe_uri

SERIAL_BYTES: Final = range(16, 20)
"""How many random bytes a serial may have: enough not to be guessed, at most 20 octets in DER."""

BACKDATE_MAX: Final = timedelta(minutes=5)
"""How far before now a certificate may begin, for clocks that are behind."""

VALIDITY_MIN: Final = timedelta(seconds=10)
VALIDITY_MAX: Final = timedelta(days=90)
"""Longest life of an agent's certificate."""

EMPTY_NAME: Final = x509.Name([])
_HOST_MAX_CHARS: Final = 253
_NAME_MAX_CHARS: Final = 40  # a common name has at most 64, RFC 5280 appendix A


def serial_from(random_bytes: bytes) -> Serial:
    """Return the serial that these random bytes make.

    Raises:
        RefusedError: they are fewer than 16, more than 19, or all zero.
    """
    if len(random_bytes) not in SERIAL_BYTES:
        raise RefusedError(f"serial of {len(random_bytes)} random bytes, expected 16 to 19")
    return Serial(int.from_bytes(random_bytes, "big"))


@dataclass(frozen=True, slots=True)
class Window:
    """When a certificate holds: aware UTC, whole seconds, both ends included (RFC 5280 4.1.2.5)."""

    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """What every agent's certificate has in common."""

    trust_domain: str
    validity: timedelta = timedelta(days=7)
    backdate: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        require_trust_domain(self.trust_domain)
        if not VALIDITY_MIN <= self.validity <= VALIDITY_MAX:
            raise IssuerError(f"validity {self.validity} is not between {VALIDITY_MIN} and {VALIDITY_MAX}")
        if not timedelta(0) <= self.backdate <= BACKDATE_MAX:
            raise IssuerError(f"backdate {self.backdate} is not between 0 and {BACKDATE_MAX}")


def window(
    now: datetime, validity: timedelta, backdate: timedelta, issuer: x509.Certificate | None
) -> Window:
    """Return when a certificate made at `now` (aware UTC) holds; it begins no earlier than its issuer.

    Raises:
        IssuerError: it would outlive its issuer, or its issuer has not begun.
    """
    moment = now.astimezone(UTC).replace(microsecond=0)
    not_before, not_after = moment - backdate, moment + validity
    if issuer is None:
        return Window(not_before, not_after)
    if not_after > issuer.not_valid_after_utc:
        raise IssuerError(
            f"certificate would end at {not_after.isoformat()}, after its issuer "
            f"{issuer.subject.rfc4514_string()!r}, which ends at {issuer.not_valid_after_utc.isoformat()}"
        )
    if moment < issuer.not_valid_before_utc:
        raise IssuerError(
            f"issuer {issuer.subject.rfc4514_string()!r} begins at "
            f"{issuer.not_valid_before_utc.isoformat()}, now is {moment.isoformat()}"
        )
    return Window(max(not_before, issuer.not_valid_before_utc), not_after)


def agent_leaf(
    profile: AgentProfile,
    *,
    agent: AgentId,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate,
    serial: Serial,
    holds: Window,
) -> x509.CertificateBuilder:
    """Return an agent's certificate, to be linted and then signed by `issuer`'s key."""
    name = x509.UniformResourceIdentifier(spiffe_uri(profile.trust_domain, agent))
    base = _base(EMPTY_NAME, public_key, _by(issuer), serial, holds)
    return _leaf(base, ExtendedKeyUsageOID.CLIENT_AUTH).add_extension(
        x509.SubjectAlternativeName([name]), critical=True
    )


def root_ca(
    trust_domain: str, *, public_key: ec.EllipticCurvePublicKey, serial: Serial, holds: Window
) -> x509.CertificateBuilder:
    """Return the root: it signs one level of CAs, and servers."""
    name = _common_name(f"{trust_domain[:_NAME_MAX_CHARS]} root CA")
    return _ca(_base(name, public_key, (name, public_key), serial, holds), path_length=1)


def issuing_ca(
    trust_domain: str,
    *,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate,
    serial: Serial,
    holds: Window,
) -> x509.CertificateBuilder:
    """Return the CA that signs agents; its name ends in a part of its serial, so that two never share one."""
    name = _common_name(f"{trust_domain[:_NAME_MAX_CHARS]} agents CA {str(serial)[:8]}")
    base = _base(name, public_key, _by(issuer), serial, holds)
    return _ca(base, path_length=0).add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
    )


def server(
    hosts: Sequence[str],
    *,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate,
    serial: Serial,
    holds: Window,
) -> x509.CertificateBuilder:
    """Return a server's certificate for DNS names and IP addresses, the first of them also its subject.

    Raises:
        KeysError: there is no host, or one of them cannot be a DNS name.
    """
    if not hosts:
        raise KeysError("server certificate names no host, expected at least one")
    names = x509.SubjectAlternativeName([host_name(host) for host in hosts])
    base = _base(_common_name(hosts[0][:64]), public_key, _by(issuer), serial, holds)
    return _leaf(base, ExtendedKeyUsageOID.SERVER_AUTH).add_extension(names, critical=False)


def key_usage(*, ca: bool) -> x509.KeyUsage:
    """Return the whole key usage of a CA (sign certificates and CRLs) or of a leaf (sign handshakes)."""
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _leaf(base: x509.CertificateBuilder, purpose: x509.ObjectIdentifier) -> x509.CertificateBuilder:
    return (
        base.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )


def _ca(base: x509.CertificateBuilder, *, path_length: int) -> x509.CertificateBuilder:
    return base.add_extension(
        x509.BasicConstraints(ca=True, path_length=path_length), critical=True
    ).add_extension(key_usage(ca=True), critical=True)


def _base(
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    by: tuple[x509.Name, ec.EllipticCurvePublicKey],
    serial: Serial,
    holds: Window,
) -> x509.CertificateBuilder:
    issuer_name, issuer_key = by
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(public_key)
        .serial_number(serial.number)
        .not_valid_before(holds.not_before)
        .not_valid_after(holds.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _by(issuer: x509.Certificate) -> tuple[x509.Name, ec.EllipticCurvePublicKey]:
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != ec.SECP256R1.name:
        raise IssuerError(f"issuer {issuer.subject.rfc4514_string()!r} has no P-256 key")
    return issuer.subject, key


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def host_name(text: str) -> x509.GeneralName:
    """Return a host as a certificate names it. Raises KeysError if it is no IP address or DNS name."""
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        pass
    labels = text.split(".")
    plain = all(label and label.replace("-", "").isalnum() and label.isascii() for label in labels)
    if not plain or len(text) > _HOST_MAX_CHARS:
        raise KeysError(f"host {text!r} is neither an IP address nor a DNS name")
    return x509.DNSName(text)
