"""Looks at a certificate before the real key is used for it, and once more, by another's rules, after.

Rules:

1. `lint` reads the finished, unsigned bytes field by field against the profile and what was approved. It does
   not trust the builder: it knows the complete list of extensions, and anything beyond it is an error.
2. `second_opinion` has a signed certificate verified by code that is not ours, as a server would.
3. A finding is our own mistake, never the peer's; nothing is signed, or nothing is handed out.

Pure.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from keys.certificate import Serial
from keys.errors import LintError
from keys.identity import AgentId, spiffe_uri
from keys.profile import BACKDATE_MAX, EMPTY_NAME, SERIAL_BYTES, AgentProfile

_CRITICAL: Final[Mapping[x509.ObjectIdentifier, bool]] = {
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: False,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: False,
    ExtensionOID.BASIC_CONSTRAINTS: True,
    ExtensionOID.KEY_USAGE: True,
    ExtensionOID.EXTENDED_KEY_USAGE: False,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: True,
}
"""The extensions an agent's certificate has, all of them, and which are critical."""

_SIGNS_HANDSHAKES: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)

_SERIAL_MIN_BITS: Final = 64  # fewer would mean that the 128 random ones were not random


def lint(
    certificate: x509.Certificate,
    profile: AgentProfile,
    *,
    issuer: x509.Certificate,
    agent: AgentId,
    public_key: ec.EllipticCurvePublicKey,
    serial: Serial,
) -> None:
    """Check an agent's certificate, signed or not, against everything it was to be.

    Raises:
        LintError: the first field that differs, with both values.
    """
    _same("version", certificate.version, x509.Version.v3)
    _same("serial", certificate.serial_number, serial.number)
    bits = certificate.serial_number.bit_length()
    if not _SERIAL_MIN_BITS <= bits <= 8 * SERIAL_BYTES[-1]:
        raise LintError(f"serial has {bits} bits, expected {_SERIAL_MIN_BITS} to {8 * SERIAL_BYTES[-1]}")
    _same("subject", certificate.subject.rfc4514_string(), EMPTY_NAME.rfc4514_string())
    _same("issuer", certificate.issuer.public_bytes(), issuer.subject.public_bytes())
    _same("key", _spki(certificate), public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    _lint_times(certificate, profile, issuer)
    _lint_extensions(certificate, issuer, spiffe_uri(profile.trust_domain, agent), public_key)


def second_opinion(certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
    """Have a signed certificate verified as a client's, at `now` (aware UTC), by the cryptographic library.

    Raises:
        LintError: the library would not let this client in.
    """
    builder = verification.PolicyBuilder().store(verification.Store([issuer])).time(now)
    try:
        builder.build_client_verifier().verify(certificate, [])
    except verification.VerificationError as exc:
        raise LintError(
            f"certificate {certificate.serial_number:x} does not verify as a client's: {exc}"
        ) from exc


def _lint_times(certificate: x509.Certificate, profile: AgentProfile, issuer: x509.Certificate) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begins < ends <= begins + profile.validity + BACKDATE_MAX:
        raise LintError(
            f"certificate holds from {begins} to {ends}, expected at most {profile.validity} from issue"
        )
    if begins < issuer.not_valid_before_utc or ends > issuer.not_valid_after_utc:
        raise LintError(
            f"certificate holds from {begins} to {ends}, beyond its issuer's "
            f"{issuer.not_valid_before_utc} to {issuer.not_valid_after_utc}"
        )


def _lint_extensions(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    uri: str,
    public_key: ec.EllipticCurvePublicKey,
) -> None:
    found = {extension.oid: extension for extension in certificate.extensions}
    _same("extensions", _names(found), _names(_CRITICAL))
    for oid, critical in _CRITICAL.items():
        _same(f"criticality of {oid.dotted_string}", found[oid].critical, critical)
    issuer_key = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    expected: Mapping[x509.ObjectIdentifier, x509.ExtensionType] = {
        ExtensionOID.SUBJECT_KEY_IDENTIFIER: x509.SubjectKeyIdentifier.from_public_key(public_key),
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER: (
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key)
        ),
        ExtensionOID.BASIC_CONSTRAINTS: x509.BasicConstraints(ca=False, path_length=None),
        ExtensionOID.KEY_USAGE: _SIGNS_HANDSHAKES,
        ExtensionOID.EXTENDED_KEY_USAGE: x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME: (
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        ),
    }
    for oid, value in expected.items():
        _same(f"extension {oid.dotted_string}", found[oid].value, value)


def _names(oids: Mapping[x509.ObjectIdentifier, object]) -> list[str]:
    return sorted(oid.dotted_string for oid in oids)


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _same(field: str, found: object, expected: object) -> None:
    if found != expected:
        raise LintError(f"certificate's {field} is {found!r}, expected {expected!r}")
