"""The issuing CA at work: builds a certificate, lints it, and only then uses the key.

Rules:

1. `draft` uses no key: what it returns can be recorded before `sign` is called.
2. The signature is deterministic (RFC 6979), so signing the same draft again after a crash gives the very
   same certificate.
3. A key that does not belong to its certificate, or a certificate that may do more or less than sign agents,
   is refused when the issuer is opened.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from keys.certificate import Serial
from keys.errors import IssuerError
from keys.identity import AgentId
from keys.lint import lint, second_opinion
from keys.profile import AgentProfile, Window, agent_leaf, window


@dataclass(frozen=True, slots=True)
class Draft:
    """A certificate that passed the lint and still lacks its signature.

    `sha256` names its unsigned bytes: whoever makes the same draft again gets the same 32 bytes.
    """

    agent: AgentId
    public_key: ec.EllipticCurvePublicKey
    serial: Serial
    holds: Window
    sha256: bytes
    builder: x509.CertificateBuilder = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issuer:
    """The issuing CA: its key (or a handle on it, elsewhere) and its certificate."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    def __post_init__(self) -> None:
        name = self.certificate.subject.rfc4514_string()
        if self.key.public_key() != self.certificate.public_key():
            raise IssuerError(
                f"issuer {name!r} has a certificate for another key than the one that was opened"
            )
        extensions = self.certificate.extensions
        try:
            limits = extensions.get_extension_for_class(x509.BasicConstraints).value
            purposes = list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
            extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except x509.ExtensionNotFound as exc:
            raise IssuerError(f"issuer {name!r} lacks extension {exc.oid.dotted_string}") from exc
        if not limits.ca or limits.path_length != 0:
            raise IssuerError(
                f"issuer {name!r} has ca={limits.ca} and path length {limits.path_length}, "
                "expected True and 0"
            )
        if purposes != [ExtendedKeyUsageOID.CLIENT_AUTH]:
            found = [purpose.dotted_string for purpose in purposes]
            raise IssuerError(f"issuer {name!r} may certify {found}, expected clients alone")

    def holds(self, profile: AgentProfile, now: datetime) -> Window:
        """Return when a certificate made at `now` holds. Raises IssuerError if it would outlive this CA."""
        return window(now, profile.validity, profile.backdate, self.certificate)

    def draft(
        self,
        profile: AgentProfile,
        *,
        agent: AgentId,
        public_key: ec.EllipticCurvePublicKey,
        serial: Serial,
        holds: Window,
    ) -> Draft:
        """Build and lint a certificate without using the key.

        Raises:
            LintError: it is not what the profile says. IssuerError: this CA cannot sign it.
        """
        builder = agent_leaf(
            profile,
            agent=agent,
            public_key=public_key,
            issuer=self.certificate,
            serial=serial,
            holds=holds,
        )
        unsigned = builder.create_unsigned()
        lint(
            unsigned,
            profile,
            issuer=self.certificate,
            agent=agent,
            public_key=public_key,
            serial=serial,
        )
        digest = hashlib.sha256(unsigned.tbs_certificate_bytes).digest()
        return Draft(agent, public_key, serial, holds, digest, builder)

    def sign(self, draft: Draft) -> bytes:
        """Use the key. The caller MUST have recorded the draft durably before.

        Returns:
            The chain in PEM: the new certificate, then this CA's.

        Raises:
            LintError: the signed certificate does not verify as a client's. Nothing may be handed out.
            IssuerError: the key could not be used.
        """
        try:
            signed = draft.builder.sign(self.key, hashes.SHA256(), ecdsa_deterministic=True)
        except (InvalidSignature, ValueError, TypeError) as exc:
            raise IssuerError(
                f"key of issuer {self.certificate.subject.rfc4514_string()!r} could not sign"
            ) from exc
        second_opinion(signed, self.certificate, draft.holds.not_before)
        return signed.public_bytes(Encoding.PEM) + self.certificate.public_bytes(Encoding.PEM)
