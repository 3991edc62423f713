"""How a host joins: pins from the token, a key of its own, a certificate for it.

Step 1  the token's CA certificate verifies TLS from the first byte; nothing is skipped, ever
Step 2  the TUF root is fetched and must have the digest that the token pins
Step 3  instance uid and key are made and written; the key stays in its folder
Step 4  the certificate request goes out with the token, and the answer is checked against key, uid and CA
Step 5  the certificate is kept as the next credential; the first connection with it makes it the current one

Each step can be taken again after a death in any other: the same token with the same key gets the same
certificate and consumes nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from distribution.agent import pins as pinned
from distribution.agent.conversation import Conversation, Numbers, Refused, Settings
from distribution.agent.credentials import Credential, Credentials
from distribution.agent.fetcher import Fetcher, server_context
from distribution.agent.link import Link, same_place
from distribution.agent.messages import About, certificate_request
from distribution.agent.pins import Pins
from distribution.agent.report import HealthReport, Report
from distribution.agent.tuf_client import DownloadError
from distribution.errors import UnreachableError
from keys.errors import RefusedError, TrustError
from keys.identity import AgentId
from keys.trust import TokenString

logger = logging.getLogger(__name__)

_ROOT_MAX_BYTES = 512_000
_WHOLE_SECONDS = 60.0
_ASK_AGAIN_SECONDS = 2.0
AUTHORIZATION = "Enrollment"
"""Scheme of the `Authorization` header that presents a token (docs/protocol.md)."""

_NOTHING = Report(packages=(), offer_hash=b"", health=HealthReport(well=False, status="enrolling"))


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Who this host is now. `fresh` is false if it was enrolled already and nothing was done."""

    agent: AgentId
    credential: Credential
    fresh: bool


class OpenLink(Protocol):
    """Opens a link without a client certificate."""

    def __call__(self, pins: Pins, agent: AgentId, headers: dict[str, str]) -> Awaitable[Link]:
        """Open it. Raises NotAdmittedError or UnreachableError."""
        ...


FetchRoot = Callable[[TokenString], bytes]
"""Fetches the root metadata that a token pins."""


def fetch_root(token: TokenString) -> bytes:
    """Fetch the pinned version of the root over TLS that the token's CA verifies.

    Raises:
        UnreachableError: it cannot be fetched.
    """
    url = f"{token.downloads_url.rstrip('/')}/metadata/{token.tuf_root_version}.root.json"
    try:
        return Fetcher(server_context(token.ca_pem), seconds=_WHOLE_SECONDS).download_bytes(
            url, _ROOT_MAX_BYTES
        )
    except DownloadError as exc:
        raise UnreachableError(f"TUF root cannot be fetched: {exc}") from exc


def require_pins(folder: Path, token: TokenString, fetch: FetchRoot) -> Pins:
    """Return this host's pins; at the first enrollment they are taken from the token.

    Raises:
        TrustError: the fetched root is not the pinned one, or the token would change the pins.
        UnreachableError: the root cannot be fetched.
    """
    known = pinned.load(folder)
    if known is not None:
        pinned.require_same(known, token)
        return known
    pins = pinned.from_token(token, fetch(token))
    pinned.save(folder, pins)
    return pins


async def enroll(
    folder: Path,
    token: TokenString,
    describe: Callable[[AgentId], About],
    *,
    open_link: OpenLink,
    now: Callable[[], datetime],
    new_uid: Callable[[], UUID],
    fetch: FetchRoot = fetch_root,
    again: bool = False,
) -> Enrolled:
    """Enroll this host, or finish an enrollment that was cut short.

    Args:
        folder: the agent's folder; the caller holds its lock.
        token: what the operator gave.
        describe: tells who this agent is.
        open_link: opens a link of the host's transport.
        now: aware UTC.
        new_uid: makes an instance uid, at the first enrollment.
        fetch: fetches the root.
        again: ask for a new certificate though this host has one, after an operator's reset.

    Raises:
        TrustError: root, endpoint or certificate are not what the token pins.
        RefusedError: the server refuses token or request.
        UnreachableError: it does not answer in time.
    """
    pins = await asyncio.to_thread(require_pins, folder, token, fetch)
    credentials = Credentials(folder, pins.trust_domain, pins.ca_pem)
    agent = credentials.agent(new_uid)
    usable = credentials.usable(now())
    if usable and not again:
        return Enrolled(agent, usable[0], fresh=False)
    if any(credential.is_next for credential in usable):
        # A key that waits for its first certificate is kept: it may be the one the server knows already.
        credentials.discard_next()
    csr_pem = credentials.request(agent).csr_pem
    link = await open_link(pins, agent, {"Authorization": f"{AUTHORIZATION} {token.presented}"})
    settings = await _asked_once(link, Conversation(describe(agent), Numbers(), now), csr_pem)
    if settings.endpoint and not same_place(settings.endpoint, pins.agents_url):
        raise TrustError(
            f"endpoint {settings.endpoint!r} that the server sent is not the pinned one, {pins.agents_url!r}"
        )
    stored = credentials.store(settings.chain_pem, agent, now())
    logger.info("enrolled", extra={"agent": str(agent), "serial": stored.serial})
    return Enrolled(agent, stored, fresh=True)


async def _asked_once(link: Link, conversation: Conversation, csr_pem: bytes) -> Settings:
    """Ask in time, and close the link whatever comes of it. Raises: as `enroll`."""
    try:
        async with asyncio.timeout(_WHOLE_SECONDS):
            return await _ask(link, conversation, csr_pem)
    except TimeoutError as exc:
        raise UnreachableError(f"server sent no certificate within {_WHOLE_SECONDS:g} s") from exc
    finally:
        await link.close()


async def _ask(link: Link, conversation: Conversation, csr_pem: bytes) -> Settings:
    first = conversation.next(_NOTHING, None)
    if first is None:
        raise RuntimeError("a first message always says something")
    first.connection_settings_request.CopyFrom(certificate_request(csr_pem))
    await link.send(first)
    receiving = asyncio.ensure_future(link.receive())
    try:
        while True:
            done, _ = await asyncio.wait({receiving}, timeout=_ASK_AGAIN_SECONDS)
            if not done:
                # Over HTTP an answer comes with the next message only; asking again costs nothing.
                await link.send(conversation.ask_certificate(csr_pem))
                continue
            for event in conversation.take(receiving.result()):
                if isinstance(event, Refused) and not event.unavailable:
                    raise RefusedError(event.text)
                if isinstance(event, Refused):
                    raise UnreachableError(f"server is not available: {event.text}", event.retry_after)
                if isinstance(event, Settings) and event.chain_pem:
                    return event
            receiving = asyncio.ensure_future(link.receive())
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
