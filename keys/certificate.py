"""Values about credentials: what names one, slots, reasons, what was issued and what was taken away."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, TypeAlias

from keys.errors import RefusedError
from keys.identity import AgentId

_SERIAL_MAX_BITS = 159  # RFC 5280 4.1.2.2: at most 20 octets, positive
_BEARER_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True, order=True)
class Serial:
    """A certificate's serial number: positive, at most 20 octets (RFC 5280 4.1.2.2), shown in hex."""

    number: int

    def __hash__(self) -> int:  # the one that dataclasses make takes three times as long
        return hash(self.number)

    def __post_init__(self) -> None:
        if self.number <= 0 or self.number.bit_length() > _SERIAL_MAX_BITS:
            raise RefusedError(f"serial {self.number:x} is not positive and within 20 octets")

    @classmethod
    def parse(cls, text: str) -> "Serial":
        """Read hexadecimal digits. Raises RefusedError."""
        try:
            return cls(int(text, 16))
        except ValueError as exc:
            raise RefusedError(f"serial {text!r} is not hexadecimal") from exc

    def __str__(self) -> str:
        return f"{self.number:x}"


@dataclass(frozen=True, slots=True, order=True)
class BearerId:
    """A bearer token's public half: lower-case letters, digits and hyphens, at most 64. No secret."""

    text: str

    def __post_init__(self) -> None:
        if _BEARER_ID.fullmatch(self.text) is None:
            raise RefusedError(
                f"bearer id {self.text[:80]!r} is not lower-case letters, digits and hyphens, at most 64"
            )

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Passage:
    """That one gateway may speak for one agent: what admits an agent that holds nothing of its own."""

    agent: AgentId
    gateway: AgentId

    def __str__(self) -> str:
        return f"{self.gateway}/{self.agent}"


CredentialId: TypeAlias = Serial | BearerId | Passage
"""By what a connection, or a conversation in it, is let in, and by what it is cut."""


_KINDS: Final[Mapping[type[CredentialId], str]] = {Serial: "serial", BearerId: "bearer", Passage: "passage"}


def kind_of(credential: CredentialId) -> str:
    """Return how the journal calls this kind of credential: `serial`, `bearer` or `passage`."""
    return _KINDS[type(credential)]


class Slot(Enum):
    """Where a live credential stands: an agent has one current and at most one next."""

    CURRENT = "current"
    NEXT = "next"


class Reason(Enum):
    """RFC 5280 5.3.1 `CRLReason`, those that apply to an agent's credential."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "key_compromise"
    AFFILIATION_CHANGED = "affiliation_changed"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessation_of_operation"
    PRIVILEGE_WITHDRAWN = "privilege_withdrawn"


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate we signed. `chain_pem` is leaf first, then the issuing CA; times are aware UTC."""

    serial: Serial
    agent: AgentId
    slot: Slot
    chain_pem: bytes
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Revoked:
    """What one revocation took away: all that let the agent in at that moment."""

    agent: AgentId
    serials: tuple[Serial, ...]
    reason: Reason
    at: datetime
    tokens: tuple[BearerId, ...] = ()
    passages: tuple[Passage, ...] = ()
    """That a gateway spoke for it; and for a gateway, all those it spoke for."""
    banned: bool = False
    """Whether the agent is banned now, by this revocation or an earlier one."""

    @property
    def credentials(self) -> tuple[CredentialId, ...]:
        """All of it: the caller MUST cut the connections of these."""
        return (*self.serials, *self.tokens, *self.passages)
