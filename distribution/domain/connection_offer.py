"""One offer of connection settings, complete as it is said: from a set, an answer to a request, or both.

Rules (OpAMP "Connection Settings Management", and what known clients make of an offer):

1. The OpAMP connection is always a full snapshot: some clients build it from the message alone, and one that
   finds no certificate there stops verifying the server.
2. A signal that is off is said with an empty endpoint. An absent one means "unchanged" by the specification
   and "off" to some clients; an endpoint that is there and empty means "off" to both.
3. The hash names the settings and the try (`domain.attempts`). An answer to a certificate request has one of
   its own, because clients pass over a hash that they saw; with settings beside it, it names those as well.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from distribution.domain.attempts import MARK_BYTES, numbered
from distribution.domain.connections import (
    ConnectionOffer,
    ConnectionSet,
    Credential,
    Destination,
    Signal,
)
from distribution.domain.terms import Terms

_NOTHING = ConnectionSet()


@dataclass(frozen=True, slots=True)
class OpampTold:
    """What is said of the OpAMP connection. `chain_pem` is empty for an agent without a certificate."""

    endpoint: str
    heartbeat_seconds: int
    ca_pem: str
    chain_pem: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What one message says of connections. `opamp` None leaves that connection as it is."""

    hash: bytes
    opamp: OpampTold | None = None
    telemetry: Mapping[Signal, Destination | None] = field(default_factory=dict)
    other: Mapping[str, Destination] = field(default_factory=dict)


def compose(
    offer: ConnectionOffer | None, credential: Credential | None, terms: Terms, secure_scheme: str
) -> Told:
    """Return what is to be said of an offer, of an answer to a certificate request, or of both at once.

    Args:
        offer: a set that was decided, None if none is.
        credential: an answer; its chain counts before the offer's.
        terms: what every agent is told alike.
        secure_scheme: wss or https, as the agent is connected.

    Raises:
        ValueError: neither was given; there is nothing to say.
    """
    if offer is None and credential is None:
        raise ValueError("neither settings nor a credential were given to be offered")
    settings = _NOTHING if offer is None else offer.settings
    opamp = None
    if credential is not None or settings.heartbeat_seconds is not None:
        opamp = OpampTold(
            urlunsplit(urlsplit(terms.agents_url)._replace(scheme=secure_scheme)),
            _heartbeat(settings, credential),
            terms.ca_pem,
            credential.chain_pem if credential is not None else (offer and offer.chain_pem) or b"",
            {} if offer is None else offer.headers,
        )
    return Told(_hash(offer, credential, opamp), opamp, settings.telemetry, settings.other)


def _heartbeat(settings: ConnectionSet, credential: Credential | None) -> int:
    if settings.heartbeat_seconds is not None:
        return settings.heartbeat_seconds
    return 1 if credential is None else max(1, credential.heartbeat_seconds)


def _hash(offer: ConnectionOffer | None, credential: Credential | None, opamp: OpampTold | None) -> bytes:
    if credential is None or opamp is None:
        return b"" if offer is None else numbered(offer.settings.digest, offer.attempt)
    answer = hashlib.sha256(credential.chain_pem)
    answer.update(f"{opamp.endpoint} {credential.answered_at.isoformat()} {credential.number}".encode())
    if offer is None:
        return answer.digest()
    return numbered(offer.settings.digest, offer.attempt, answer.digest()[:MARK_BYTES])
