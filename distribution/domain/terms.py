"""What every agent is told alike, and how an error is called."""

from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """How an error is called on the wire (OpAMP "ServerErrorResponse")."""

    UNKNOWN = "unknown"
    BAD_REQUEST = "bad_request"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Terms:
    """What every agent is told alike: public addresses and the CA that they are verified with.

    `agents_url` may have the scheme wss or https; each agent is told the one of the transport it uses.
    """

    agents_url: str
    downloads_url: str
    ca_pem: str
