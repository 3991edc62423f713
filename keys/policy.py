"""Decides whether a certificate request may be answered, and takes from it only a key and an identity.

Rules:

1. Proof of possession: the request is signed by the key it brings (PKCS #10, RFC 2986 4.2).
2. The key is ECDSA on P-256; the request's signature uses SHA-256 or longer.
3. It names exactly one agent: by the one URI name of `keys.identity`, or, for clients that can only set a
   subject, by a common name that is the instance uid. If both are there they agree, and it is the agent that
   sends the request.
4. It asks for nothing more. Any other extension (a CA flag above all), any second name, any other attribute
   is refused by name, though we would not copy it: who asks for it is mistaken or worse. The one exception is
   an enrollment token, where the request comes through a gateway.

What the certificate looks like is the profile's business; nothing here is copied into it. Pure.
"""

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AttributeOID, ExtensionOID, NameOID

from keys.errors import RefusedError
from keys.identity import AgentId, agent_of_names

CSR_MAX_BYTES: Final = 16_384
_EXTENSION_REQUEST: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.14")
_BEGIN: Final = b"-----BEGIN "
_GOOD_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True, slots=True)
class ApprovedRequest:
    """All that is taken from a request. `spki_sha256`: 32 bytes, of the key's SubjectPublicKeyInfo in DER.

    `token` is the enrollment token that it carries, where it may carry one.
    """

    agent: AgentId
    public_key: ec.EllipticCurvePublicKey
    spki_sha256: bytes
    token: str | None = field(default=None, repr=False)


def approve(
    csr_pem: bytes,
    *,
    expected: AgentId | None,
    trust_domain: str,
    may_be_unnamed: bool = False,
    may_carry_token: bool = False,
) -> ApprovedRequest:
    """Return what a request asks for, if the rules above allow it.

    Args:
        csr_pem: one PKCS #10 request in PEM, as the peer sent it.
        expected: the agent that sends it; None only where nobody has said who he is.
        trust_domain: ours.
        may_be_unnamed: an operator vouches that it is `expected`'s: it need not name an agent itself.
        may_carry_token: take an enrollment token from the attribute `challengePassword` (RFC 2985 5.4.1).

    Raises:
        RefusedError: which rule it breaks, with both values.
    """
    request = _parse(csr_pem)
    public_key = _require_key(request)
    try:
        token = _token_of(request) if may_carry_token else None
        named = _named_agent(request, trust_domain, may_carry_token=may_carry_token)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise RefusedError("certificate request's names or extensions cannot be read") from exc
    agent = expected if named is None and may_be_unnamed else named
    if agent is None:
        hint = "; say its uid" if may_be_unnamed else ""
        raise RefusedError(
            f"certificate request names no agent, neither as a URI nor as its common name{hint}"
        )
    if expected is not None and agent != expected:
        raise RefusedError(f"certificate request names agent {agent}, it was sent by agent {expected}")
    return ApprovedRequest(agent, public_key, spki_sha256(public_key), token)


def spki_sha256(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the SHA-256 of the key's SubjectPublicKeyInfo in DER: the key's name in the ledger."""
    return hashlib.sha256(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _parse(csr_pem: bytes) -> x509.CertificateSigningRequest:
    if len(csr_pem) > CSR_MAX_BYTES:
        raise RefusedError(f"certificate request has {len(csr_pem)} bytes, at most {CSR_MAX_BYTES} are read")
    if csr_pem.count(_BEGIN) != 1:
        raise RefusedError(
            f"certificate request holds {csr_pem.count(_BEGIN)} PEM blocks, expected exactly one"
        )
    try:
        return x509.load_pem_x509_csr(csr_pem)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise RefusedError("certificate request is not PKCS #10 in PEM") from exc


def _require_key(request: x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey:
    """Return the request's key. Raises RefusedError unless it is P-256 and signed the request."""
    try:
        key = request.public_key()
        algorithm = request.signature_hash_algorithm
        signed_by_itself = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise RefusedError("certificate request's key or signature is of a kind we do not know") from exc
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != ec.SECP256R1.name:
        kind = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__
        raise RefusedError(f"certificate request's key is of the kind {kind}, expected {ec.SECP256R1.name}")
    if not isinstance(algorithm, _GOOD_HASHES):
        name = None if algorithm is None else algorithm.name
        raise RefusedError(f"certificate request is signed with {name}, expected sha256 or longer")
    if not signed_by_itself:
        raise RefusedError("certificate request's signature is not by the key it brings")
    return key


def _token_of(request: x509.CertificateSigningRequest) -> str | None:
    """Return the text of the attribute `challengePassword`, None if there is none."""
    for attribute in request.attributes:
        if attribute.oid == AttributeOID.CHALLENGE_PASSWORD:
            text: str = attribute.value.decode("utf-8")
            return text
    return None


def _named_agent(
    request: x509.CertificateSigningRequest, trust_domain: str, *, may_carry_token: bool
) -> AgentId | None:
    """Return the agent that the request names, None if it names none. Raises RefusedError."""
    names = _requested_names(request, may_carry_token=may_carry_token)
    by_subject = _agent_of_subject(request.subject)
    if names is None:
        return by_subject
    agent = agent_of_names(names, trust_domain)
    if by_subject is not None and by_subject != agent:
        raise RefusedError(
            f"certificate request's subject is agent {by_subject}, its URI names agent {agent}"
        )
    return agent


def _requested_names(
    request: x509.CertificateSigningRequest, *, may_carry_token: bool
) -> x509.SubjectAlternativeName | None:
    """Return the subject alternative name asked for. Raises RefusedError if anything else is."""
    carried = AttributeOID.CHALLENGE_PASSWORD if may_carry_token else None
    attributes = [attribute for attribute in request.attributes if attribute.oid != carried]
    for attribute in attributes:
        if attribute.oid != _EXTENSION_REQUEST:
            raise RefusedError(
                f"certificate request has attribute {attribute.oid.dotted_string}, expected none"
            )
    if len(attributes) > 1:
        raise RefusedError(f"certificate request has {len(attributes)} lists of extensions, expected one")
    names = None
    for extension in request.extensions:
        if isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            raise RefusedError("certificate request asks to be a CA, agents are never one")
        if not isinstance(extension.value, x509.SubjectAlternativeName):
            raise RefusedError(
                f"certificate request asks for extension {extension.oid.dotted_string}, "
                f"expected at most {ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string}"
            )
        names = extension.value
    return names


def _agent_of_subject(subject: x509.Name) -> AgentId | None:
    """Return the agent whose uid is the common name, if the subject has one that looks like a uid."""
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) > 1:
        raise RefusedError(
            f"certificate request's subject has {len(names)} common names, expected at most one"
        )
    if not names:
        return None
    text = str(names[0].value)
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return AgentId(found) if str(found) == text.lower() else None
