"""One session with the server: reports go out, offers and settings come in, the credential is renewed.

Settings: only the certificate and the heartbeat of an offer are taken. An endpoint other than the pinned one
is refused, and neither a CA nor any other trust in an offer is ever looked at.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from opamp.v1 import opamp_pb2

from distribution.agent.conversation import (
    Conversation,
    Event,
    Heard,
    Offered,
    Refused,
    Restart,
    Settings,
    SettingsStatus,
)
from distribution.agent.credentials import Credential, Credentials
from distribution.agent.link import Link, same_place
from distribution.agent.report import Report
from distribution.agent.rules import WantedSet
from distribution.errors import DistributionError, UnreachableError
from keys.errors import KeysError
from keys.identity import AgentId

logger = logging.getLogger(__name__)

_ASK_AGAIN = timedelta(minutes=1)
_HEARTBEAT_MAX_SECONDS = 3600.0
_HEARTBEAT_MIN_SECONDS = 1.0


class Ended(Enum):
    """Why a session ended without an error."""

    STOPPED = "stopped"
    RENEWED = "renewed"


class Desk(Protocol):
    """What a session speaks for: the keeper. Every method is safe from the event loop and returns at once."""

    @property
    def report(self) -> Report:
        """What there is to report now."""
        ...

    @property
    def settings(self) -> SettingsStatus | None:
        """Where the last offered settings stand."""
        ...

    @settings.setter
    def settings(self, status: SettingsStatus | None) -> None: ...

    def offer(self, wanted: WantedSet) -> None:
        """Hand over an offer."""
        ...

    def restart_program(self) -> None:
        """Have the program restarted."""
        ...


class Session:
    """Belongs to one link and one credential."""

    def __init__(
        self,
        link: Link,
        conversation: Conversation,
        credential: Credential,
        *,
        agent: AgentId,
        agents_url: str,
        heartbeat_seconds: float,
        ask_from: datetime,
        credentials: Credentials,
        desk: Desk,
        now: Callable[[], datetime],
    ) -> None:
        """Prepare a session; no renewal is asked for before `ask_from`, aware UTC."""
        self._link = link
        self._conversation = conversation
        self._credential = credential
        self._agent = agent
        self._agents_url = agents_url
        self._heartbeat = heartbeat_seconds
        self._credentials = credentials
        self._desk = desk
        self._now = now
        self._ask_at = max(credential.renewal_at(agent), ask_from)
        self._accepted = False
        self._renewed = False
        self._spoken_at = 0.0

    @property
    def heartbeat_seconds(self) -> float:
        """How often the server wants a report now; the next session begins with it."""
        return self._heartbeat

    async def run(
        self, wake: asyncio.Event, stopping: asyncio.Event, accepted: Callable[[Credential], None]
    ) -> Ended:
        """Converse until the link breaks, the credential is renewed, or `stopping` is set.

        Args:
            wake: set when there is something new to report.
            stopping: set when the agent is to end.
            accepted: called once, when the server accepts the credential.

        Raises:
            UnreachableError, NotAdmittedError, PeerError: the link ended.
            HostError: the disk refused.
        """
        await self._report(always=True)
        receiving = asyncio.ensure_future(self._link.receive())
        waking = asyncio.ensure_future(wake.wait())
        try:
            while not stopping.is_set():
                done, _ = await asyncio.wait(
                    {receiving, waking}, timeout=self._due_in(), return_when=asyncio.FIRST_COMPLETED
                )
                if receiving in done:
                    await self._take(self._conversation.take(receiving.result()), accepted)
                    receiving = asyncio.ensure_future(self._link.receive())
                if self._renewed:
                    return Ended.RENEWED
                if waking in done:
                    wake.clear()
                    waking = asyncio.ensure_future(wake.wait())
                await self._speak()
            await self._say_goodbye()
            return Ended.STOPPED
        finally:
            for task in (receiving, waking):
                task.cancel()
            await asyncio.gather(receiving, waking, return_exceptions=True)

    async def _speak(self) -> None:
        if self._accepted and not self._credential.is_next and self._now() >= self._ask_at:
            self._ask_at = self._now() + _ASK_AGAIN
            request = await asyncio.to_thread(self._credentials.request, self._agent)
            logger.info("asking for a new certificate", extra={"serial": self._credential.serial})
            await self._send(self._conversation.ask_certificate(request.csr_pem))
        await self._report(always=_loop_time() - self._spoken_at >= self._heartbeat)

    async def _report(self, *, always: bool) -> None:
        message = self._conversation.next(self._desk.report, self._desk.settings)
        if message is None and always:
            message = self._conversation.heartbeat()
        if message is not None:
            await self._send(message)

    async def _send(self, message: opamp_pb2.AgentToServer) -> None:
        self._spoken_at = _loop_time()
        await self._link.send(message)

    async def _say_goodbye(self) -> None:
        with contextlib.suppress(DistributionError, KeysError):
            await self._link.send(self._conversation.goodbye())

    def _due_in(self) -> float:
        until_heartbeat = self._spoken_at + self._heartbeat - _loop_time()
        if not self._accepted:
            return max(0.0, until_heartbeat)
        until_renewal = (self._ask_at - self._now()).total_seconds()
        return max(0.0, min(until_heartbeat, until_renewal))

    async def _take(self, events: list[Event], accepted: Callable[[Credential], None]) -> None:
        for event in events:
            match event:
                case Heard():
                    await self._note_accepted(accepted)
                case Offered(offer):
                    self._desk.offer(offer)
                case Restart():
                    self._desk.restart_program()
                case Refused(text, unavailable, retry_after):
                    if unavailable:
                        raise UnreachableError(f"server is not available: {text}", retry_after)
                    logger.warning("server refused a message: %s", text)
                case Settings():
                    await self._take_settings(event)

    async def _note_accepted(self, accepted: Callable[[Credential], None]) -> None:
        if self._accepted:
            return
        self._accepted = True
        if self._credential.is_next:
            await asyncio.to_thread(self._credentials.promote, self._credential)
            self._credential = replace(self._credential, is_next=False)
            if self._desk.settings is not None:
                self._desk.settings = replace(self._desk.settings, applied=True)
        accepted(self._credential)

    async def _take_settings(self, settings: Settings) -> None:
        if settings.endpoint and not same_place(settings.endpoint, self._agents_url):
            self._fail_settings(
                settings, f"endpoint {settings.endpoint!r} is not the pinned one, {self._agents_url!r}"
            )
            return
        if settings.heartbeat_seconds:
            seconds = float(min(settings.heartbeat_seconds, _HEARTBEAT_MAX_SECONDS))
            self._heartbeat = max(_HEARTBEAT_MIN_SECONDS, seconds)
        if not settings.chain_pem or self._holds(settings.chain_pem):
            self._desk.settings = SettingsStatus(settings.hash, applied=True)
            return
        try:
            stored = await asyncio.to_thread(
                self._credentials.store, settings.chain_pem, self._agent, self._now()
            )
        except (DistributionError, KeysError) as exc:
            self._fail_settings(settings, str(exc))
            return
        logger.info("new certificate stored; connecting with it", extra={"serial": stored.serial})
        self._desk.settings = SettingsStatus(settings.hash, applied=False)
        self._renewed = True

    def _holds(self, chain_pem: bytes) -> bool:
        return self._credential.chain.exists() and self._credential.chain.read_bytes() == chain_pem

    def _fail_settings(self, settings: Settings, why: str) -> None:
        logger.warning("connection settings refused: %s", why)
        self._desk.settings = SettingsStatus(settings.hash, applied=False, error=why)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
