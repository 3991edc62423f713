"""Values about issued certificates: serials, slots, reasons."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from keys.errors import RefusedError
from keys.identity import AgentId

_SERIAL_MAX_BITS = 159  # RFC 5280 4.1.2.2: at most 20 octets, positive


@dataclass(frozen=True, slots=True, order=True)
class Serial:
    """A certificate's serial number: positive, at most 20 octets (RFC 5280 4.1.2.2), shown in hex."""

    number: int

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
    """What one revocation took away: every live serial of the agent at that moment."""

    agent: AgentId
    serials: tuple[Serial, ...]
    reason: Reason
    at: datetime
