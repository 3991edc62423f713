"""Who an agent is: its OpAMP `instance_uid`, and the one place where a certificate says so.

SPIFFE-ID 2.1 and X.509-SVID 2: exactly one URI subject alternative name,
`spiffe://<trust-domain>/agent/<uuid>`. Nothing else in a certificate names an agent.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from keys.errors import RefusedError

UID_BYTES = 16
_TRUST_DOMAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,253}")
_URI = re.compile(r"spiffe://([^/]+)/agent/([0-9a-f-]{36})")


@dataclass(frozen=True, slots=True)
class AgentId:
    """An OpAMP instance uid: 16 bytes, shown as a UUID of any version; never all zero."""

    uuid: uuid.UUID

    def __hash__(self) -> int:  # the one that dataclasses make takes three times as long
        return hash(self.uuid.int)

    def __post_init__(self) -> None:
        if self.uuid.int == 0:
            raise RefusedError("instance uid is all zero")

    @classmethod
    def from_bytes(cls, raw: bytes) -> "AgentId":
        """Read the 16 bytes of the wire (OpAMP 5.1). Raises RefusedError."""
        if len(raw) != UID_BYTES:
            raise RefusedError(f"instance uid has {len(raw)} bytes, expected {UID_BYTES}")
        return cls(uuid.UUID(bytes=raw))

    @classmethod
    def parse(cls, text: str) -> "AgentId":
        """Read the canonical text form. Raises RefusedError."""
        try:
            return cls(uuid.UUID(text))
        except ValueError as exc:
            raise RefusedError(f"instance uid {text!r} is not a UUID") from exc

    @property
    def raw(self) -> bytes:
        """The 16 bytes of the wire."""
        return self.uuid.bytes

    def __str__(self) -> str:
        return str(self.uuid)


def new_uid(now: datetime, random: bytes) -> uuid.UUID:
    """Return a version 7 UUID (RFC 9562 5.7): milliseconds of `now` and ten random bytes."""
    number = int(now.timestamp() * 1000) << 80 | int.from_bytes(random[:10], "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def require_trust_domain(text: str) -> str:
    """Return `text` if it can be a SPIFFE trust domain (SPIFFE-ID 2.1). Raises RefusedError."""
    if _TRUST_DOMAIN.fullmatch(text) is None:
        raise RefusedError(f"trust domain {text!r} is not lower-case letters, digits and '._-'")
    return text


def spiffe_uri(trust_domain: str, agent: AgentId) -> str:
    """Return the URI that names `agent` in a certificate or a CSR."""
    return f"spiffe://{trust_domain}/agent/{agent}"


def agent_of_names(names: x509.SubjectAlternativeName, trust_domain: str) -> AgentId:
    """Return the agent that a subject alternative name states.

    Raises:
        RefusedError: it holds anything but exactly one URI of the form above, in this trust domain.
    """
    values = list(names)
    if len(values) != 1 or not isinstance(values[0], x509.UniformResourceIdentifier):
        raise RefusedError(f"subject alternative name holds {len(values)} names, expected exactly one URI")
    return agent_of_uri(values[0].value, trust_domain)


def agent_of_uri(uri: str, trust_domain: str) -> AgentId:
    """Return the agent that a URI names.

    Raises:
        RefusedError: it is not of the form above, in this trust domain.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise RefusedError(f"subject alternative name {uri!r} is not an agent's SPIFFE id")
    if match[1] != trust_domain:
        raise RefusedError(f"trust domain {match[1]!r} is not ours, {trust_domain!r}")
    return AgentId.parse(match[2])
