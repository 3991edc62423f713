"""What to trust, as a public statement: the operator's trust file, and the string that brings it to a host.

Rules:

1. Nothing here is secret but the token's own secret. The trust file is handed around and compared.
2. The token string carries the CA certificate itself, not only its hash: an agent verifies TLS from its first
   byte, and no step exists in which it fetches what it is to trust from the one it must not trust yet.
3. Pins come from the operator's own trust file. Where a server states others, the operator's command fails
   (`require_same`); it never takes over what the server says.
4. Every address is over TLS. There is no spelling of one that is not.

Agents import this file, so it needs nothing of the server.

The token string is `qm1.<payload>.<checksum>`: the payload is base64url (no padding) of a JSON object whose
keys are the fields of `TokenString`, the CA certificate as base64 of its DER; the checksum is the first eight
hexadecimal digits of the payload text's SHA-256. It only tells a damaged copy from a whole one.
"""

import base64
import binascii
import hashlib
import json
import re
import tomllib
from dataclasses import dataclass, fields
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from keys.errors import RefusedError, TrustError
from keys.identity import require_trust_domain

TOKEN_PREFIX: Final = "qm1"  # noqa: S105 - a format's name
_TOKEN_MAX_CHARS: Final = 16_384
_TRUST_MAX_CHARS: Final = 65_536
_PEM_MAX_BYTES: Final = 16_384
_CHECKSUM_CHARS: Final = 8
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOKEN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{22,128}")


@dataclass(frozen=True, slots=True)
class Trust:
    """What an operator trusts, and where. Raises TrustError, naming the field, for a value that cannot be."""

    trust_domain: str
    ca_pem: str
    """The root CA's certificate, PEM, exactly one, in the one spelling `normal_ca` gives."""
    tuf_root_version: int
    """The version of the TUF root metadata that is pinned."""
    tuf_root_sha256: str
    """SHA-256 of that file's bytes, lower-case hexadecimal."""
    agents_url: str
    """Where agents connect: `wss://` or `https://`."""
    downloads_url: str
    operators_url: str

    def __post_init__(self) -> None:
        _require_pins(self.trust_domain, self.ca_pem, self.tuf_root_version, self.tuf_root_sha256)
        _require_url("agents_url", self.agents_url, ("wss", "https"))
        _require_url("downloads_url", self.downloads_url, ("https",))
        _require_url("operators_url", self.operators_url, ("https",))

    @classmethod
    def from_toml(cls, text: str) -> "Trust":
        """Read a trust file. Raises TrustError for unknown, missing or wrong fields."""
        if len(text) > _TRUST_MAX_CHARS:
            raise TrustError(f"trust file has {len(text)} characters, at most {_TRUST_MAX_CHARS} are read")
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as exc:
            raise TrustError(f"trust file is not TOML: {exc}") from exc
        return cls(**_typed("trust file", found, _TYPES))

    def to_toml(self) -> str:
        """Return the trust file's text."""
        lines = ["# What to trust, and where. Public: compare it, hand it around, keep your own copy."]
        for name in _TYPES:
            value = getattr(self, name)
            if name == "ca_pem":
                lines.append(f'{name} = """\n{value}"""')
            else:
                lines.append(f"{name} = {json.dumps(value)}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class TokenString:
    """What one printed string brings to a host; the fields mean what they mean in `Trust`.

    Raises:
        TrustError: a value cannot be what its field says.
    """

    trust_domain: str
    ca_pem: str
    tuf_root_version: int
    tuf_root_sha256: str
    agents_url: str
    downloads_url: str
    token_id: str
    secret: str

    def __post_init__(self) -> None:
        _require_pins(self.trust_domain, self.ca_pem, self.tuf_root_version, self.tuf_root_sha256)
        _require_url("agents_url", self.agents_url, ("wss", "https"))
        _require_url("downloads_url", self.downloads_url, ("https",))
        if _TOKEN_ID.fullmatch(self.token_id) is None:
            raise TrustError(f"token_id {self.token_id!r} is not lower-case letters, digits and hyphens")
        if _SECRET.fullmatch(self.secret) is None:
            raise TrustError(f"secret of token {self.token_id!r} is not 22 to 128 base64url characters")

    @property
    def presented(self) -> str:
        """What the agent shows the server: `<token_id>.<secret>`."""
        return f"{self.token_id}.{self.secret}"

    def __repr__(self) -> str:
        return f"TokenString(token_id={self.token_id!r}, agents_url={self.agents_url!r}, secret=<hidden>)"


_TYPES: Final[dict[str, type]] = {
    field.name: int if field.name == "tuf_root_version" else str for field in fields(Trust)
}
_TOKEN_TYPES: Final[dict[str, type]] = {
    field.name: int if field.name == "tuf_root_version" else str for field in fields(TokenString)
}


def encode_token(trust: Trust, token_id: str, secret: str) -> str:
    """Return the one string an operator gives to a host. Raises TrustError for a bad id or secret."""
    token = TokenString(
        trust_domain=trust.trust_domain,
        ca_pem=trust.ca_pem,
        tuf_root_version=trust.tuf_root_version,
        tuf_root_sha256=trust.tuf_root_sha256,
        agents_url=trust.agents_url,
        downloads_url=trust.downloads_url,
        token_id=token_id,
        secret=secret,
    )
    values = {name: getattr(token, name) for name in _TOKEN_TYPES}
    der = x509.load_pem_x509_certificate(token.ca_pem.encode()).public_bytes(Encoding.DER)
    values["ca_pem"] = base64.b64encode(der).decode()
    body = json.dumps(values, separators=(",", ":"), sort_keys=True).encode()
    payload = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    return f"{TOKEN_PREFIX}.{payload}.{_checksum(payload)}"


def decode_token(text: str) -> TokenString:
    """Read a token string. Raises TrustError; no message shows any part of the secret."""
    text = text.strip()
    if len(text) > _TOKEN_MAX_CHARS:
        raise TrustError(f"token string has {len(text)} characters, at most {_TOKEN_MAX_CHARS} are read")
    parts = text.split(".")
    if len(parts) != 3 or parts[0] != TOKEN_PREFIX:  # noqa: PLR2004 - prefix, payload, checksum
        raise TrustError(f"token string is not of the form {TOKEN_PREFIX}.<payload>.<checksum>")
    if _checksum(parts[1]) != parts[2]:
        raise TrustError("token string is damaged: its checksum does not match, copy it again whole")
    try:
        found = json.loads(
            base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        )
        values = _typed("token string", found, _TOKEN_TYPES)
        values["ca_pem"] = normal_ca(base64.b64decode(values["ca_pem"], validate=True))
    except (binascii.Error, ValueError, RecursionError) as exc:
        raise TrustError("token string's payload cannot be read") from exc
    return TokenString(**values)


def require_same(mine: Trust, servers: Trust) -> None:
    """Refuse a server that states another trust than the operator's own file.

    `operators_url` is not compared: by which address an operator reaches the server is his own affair.

    Raises:
        TrustError: names the first field that differs, and both values.
    """
    for name in _TYPES:
        own, theirs = getattr(mine, name), getattr(servers, name)
        if name == "operators_url" or own == theirs:
            continue
        if name == "ca_pem":
            own, theirs = ca_fingerprint(own), ca_fingerprint(theirs)
        raise TrustError(f"{name} of the server is {theirs!r}, your trust file says {own!r}")


def ca_fingerprint(ca_pem: str) -> str:
    """Return the SHA-256 of the certificate's DER, as people compare it: `sha256:<hex>`."""
    certificate = x509.load_pem_x509_certificate(ca_pem.encode())
    return f"sha256:{certificate.fingerprint(hashes.SHA256()).hex()}"


def normal_ca(encoded: bytes) -> str:
    """Return the root CA's certificate as PEM in our one spelling, from PEM or DER.

    Raises:
        TrustError: it is not exactly one self-signed CA certificate with a P-256 key.
    """
    if len(encoded) > _PEM_MAX_BYTES:
        raise TrustError(f"CA certificate has {len(encoded)} bytes, at most {_PEM_MAX_BYTES} are read")
    try:
        if encoded.lstrip().startswith(b"-----"):
            certificates = x509.load_pem_x509_certificates(encoded)
        else:
            certificates = [x509.load_der_x509_certificate(encoded)]
        certificate = certificates[0]
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        certificate.verify_directly_issued_by(certificate)
        key = certificate.public_key()
    except (ValueError, TypeError, x509.ExtensionNotFound, InvalidSignature) as exc:
        raise TrustError("CA certificate cannot be read, or is not a self-signed CA") from exc
    if len(certificates) != 1:
        raise TrustError(f"CA holds {len(certificates)} certificates, expected exactly one")
    if not is_ca:
        raise TrustError(f"certificate {certificate.subject.rfc4514_string()!r} is not a CA")
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != ec.SECP256R1.name:
        raise TrustError(f"CA certificate {certificate.subject.rfc4514_string()!r} has no P-256 key")
    return certificate.public_bytes(Encoding.PEM).decode()


def _require_pins(trust_domain: str, ca_pem: str, version: int, sha256: str) -> None:
    try:
        require_trust_domain(trust_domain)
    except RefusedError as exc:
        raise TrustError(str(exc)) from exc
    if normal_ca(ca_pem.encode()) != ca_pem:
        raise TrustError("ca_pem holds text beside its one certificate")
    if version < 1:
        raise TrustError(f"tuf_root_version is {version}, expected at least 1")
    if _SHA256.fullmatch(sha256) is None:
        raise TrustError(f"tuf_root_sha256 {sha256!r} is not 64 lower-case hexadecimal digits")


def _require_url(name: str, url: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise TrustError(f"{name} {url!r} is not a URL") from exc
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise TrustError(f"{name} {url!r} is not an address with a host over {' or '.join(schemes)}")
    if parts.username is not None or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise TrustError(f"{name} {url!r} holds more than scheme, host, port and path")


def _typed(what: str, found: object, types: dict[str, type]) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TrustError(f"{what} is not a table of fields")
    for name in found:
        if name not in types:
            raise TrustError(f"{what} has an unknown field {name!r}")
    for name, kind in types.items():
        if name not in found:
            raise TrustError(f"{what} lacks the field {name!r}")
        if type(found[name]) is not kind:
            raise TrustError(f"{what}: {name} is a {type(found[name]).__name__}, expected {kind.__name__}")
    return found


def _checksum(payload: str) -> str:
    return hashlib.sha256(payload.encode()).hexdigest()[:_CHECKSUM_CHARS]
