"""The seam of the two transports, and what both share: the address, the TLS context, refusals.

Rules: only the pinned address is spoken to, over TLS that the pinned CA vouches for; no redirect is
followed, for it would carry an enrollment token or a request elsewhere.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from opamp.v1 import opamp_pb2

from distribution.agent.credentials import Credential
from distribution.agent.fetcher import HurriedContext, server_context
from distribution.errors import DistributionError, HostError, UnreachableError
from keys.errors import NotAdmittedError

_TEXT_MAX_CHARS = 500
_DENIED = frozenset({401, 403})
RETRY_AFTER_MAX_SECONDS = 3600.0
"""Longest pause that a server may ask for: a thief must not send a fleet away for good."""


class Link(Protocol):
    """An open way to the server. What it raises: UnreachableError, NotAdmittedError, PeerError."""

    async def send(self, message: opamp_pb2.AgentToServer) -> None:
        """Send one message."""
        ...

    async def receive(self) -> opamp_pb2.ServerToAgent:
        """Return the next message of the server."""
        ...

    async def close(self) -> None:
        """Close; nothing is raised."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Whom to speak to, and with what. `headers` may hold a secret, so they are never shown."""

    url: str
    context: HurriedContext
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def address(
    agents_url: str, ca_pem: str, credential: Credential | None, headers: Mapping[str, str]
) -> Address:
    """Return the address with a TLS context that presents `credential`, if there is one.

    Raises:
        HostError: key or certificate cannot be loaded.
    """
    context = server_context(ca_pem)
    if credential is not None:
        try:
            context.load_cert_chain(credential.chain, credential.key)
        except (OSError, ssl.SSLError) as exc:
            raise HostError(f"credential {credential.name} cannot be loaded: {exc}") from exc
    return Address(agents_url, context, dict(headers))


def with_scheme(url: str, scheme: str) -> str:
    """Return the address for one transport; both live on one port and path."""
    return urlunsplit(urlsplit(url)._replace(scheme=scheme))


def same_place(one: str, other: str) -> bool:
    """Whether two addresses differ in nothing but the transport; what is no address is no such place."""
    try:
        return with_scheme(one, "https") == with_scheme(other, "https")
    except ValueError:
        return False


def answered(
    status: int, body: bytes, retry_after: str | None, now: datetime
) -> DistributionError | NotAdmittedError:
    """Return the error that an HTTP status other than success stands for."""
    text = body[:_TEXT_MAX_CHARS].decode(errors="replace").strip()
    said = f": {text}" if text else ""
    if status in _DENIED:
        return NotAdmittedError(f"server answered {status}{said}")
    return UnreachableError(f"server answered {status}{said}", _seconds(retry_after, now))


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """Read `Retry-After`, seconds or a date (RFC 9110 10.2.3); None if it says nothing we can read."""
    if retry_after is None:
        return None
    try:
        if retry_after.isascii() and retry_after.isdigit():
            seconds = float(retry_after)
        else:
            moment = parsedate_to_datetime(retry_after)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            seconds = (moment - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), RETRY_AFTER_MAX_SECONDS)
