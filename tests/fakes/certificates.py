"""A small CA in memory, and certificate requests good and bad."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    CertificateIssuerPublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from keys.certificate import Serial
from keys.identity import AgentId, spiffe_uri
from keys.issuer import Issuer
from keys.profile import issuing_ca, root_ca, serial_from, window

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
DOMAIN = "fleet.example"
SHA256 = hashes.SHA256()


def agent(number: int = 1) -> AgentId:
    """Return one of a row of agents, with a version 7 uid."""
    return AgentId(UUID(f"01890000-0000-7000-8000-{number:012x}"))


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


class Serials:
    """Serials in a row that look random enough: 16 bytes, the first one set."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __call__(self) -> Serial:
        return serial_from(bytes([0x5A]) + next(self._numbers).to_bytes(15, "big"))


@dataclass(frozen=True)
class SmallCa:
    """A root and an issuing CA."""

    root_key: ec.EllipticCurvePrivateKey
    root: x509.Certificate
    issuing_key: ec.EllipticCurvePrivateKey
    issuing: x509.Certificate

    @property
    def issuer(self) -> Issuer:
        return Issuer(self.issuing_key, self.issuing)

    @property
    def root_pem(self) -> str:
        return self.root.public_bytes(Encoding.PEM).decode()

    @property
    def issuing_pem(self) -> str:
        return self.issuing.public_bytes(Encoding.PEM).decode()


def small_ca(
    *,
    now: datetime = NOW,
    root_life: timedelta = timedelta(days=3650),
    issuing_life: timedelta = timedelta(days=730),
) -> SmallCa:
    """Make a hierarchy that began five minutes before `now`."""
    serials, back = Serials(), timedelta(minutes=5)
    root_key, issuing_key = new_key(), new_key()
    root = root_ca(
        DOMAIN,
        public_key=root_key.public_key(),
        serial=serials(),
        holds=window(now, root_life, back, None),
    ).sign(root_key, hashes.SHA256())
    issuing = issuing_ca(
        DOMAIN,
        public_key=issuing_key.public_key(),
        issuer=root,
        serial=serials(),
        holds=window(now, issuing_life, back, root),
    ).sign(root_key, hashes.SHA256())
    return SmallCa(root_key, root, issuing_key, issuing)


def request_builder(
    *,
    uris: Sequence[str] = (),
    common_names: Sequence[str] = (),
    extensions: Sequence[x509.ExtensionType] = (),
) -> x509.CertificateSigningRequestBuilder:
    """Return a request that asks for these names and extensions."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder


def pem(
    builder: x509.CertificateSigningRequestBuilder,
    key: CertificateIssuerPrivateKeyTypes,
    algorithm: hashes.HashAlgorithm | None = SHA256,
) -> bytes:
    """Sign a request and return it in PEM."""
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def csr(key: CertificateIssuerPrivateKeyTypes, who: AgentId, *, domain: str = DOMAIN) -> bytes:
    """Return the request a good agent makes."""
    return pem(request_builder(uris=[spiffe_uri(domain, who)]), key)


def leaf_of(chain_pem: bytes) -> x509.Certificate:
    """Return the first certificate of a chain."""
    return x509.load_pem_x509_certificates(chain_pem)[0]


def key_of(certificate: x509.Certificate) -> CertificateIssuerPublicKeyTypes:
    """Return a certificate's key, of a kind that can sign."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError(f"key is a {type(key).__name__}, expected one on a curve")
    return key
