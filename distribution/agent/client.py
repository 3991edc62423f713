"""Stays connected to the server: one loop that connects, converses, renews, and comes back.

Rules: an attempt that failed is followed by a pause that doubles, spread so that a fleet does not come back
together, and never shorter than the server asked for. A next credential is tried before the current one; it
is promoted when the server accepted it, and dropped when the server refuses it while the current one works.
Nothing here decides what runs: offers go to the keeper, and the program runs whether or not anybody answers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from distribution.agent.backoff import delay
from distribution.agent.config import ConnectionConfig
from distribution.agent.conversation import Conversation, Numbers
from distribution.agent.credentials import Credential, Credentials
from distribution.agent.link import Link
from distribution.agent.messages import About
from distribution.agent.pins import Pins
from distribution.agent.report import Report
from distribution.agent.session import Desk, Ended, Session
from distribution.errors import DistributionError, UnreachableError
from keys.errors import KeysError, NotAdmittedError

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 1.0
_GOOD_SESSION_SECONDS = 60.0
_REFUSALS_BEFORE_OTHER = 2
_RENEW_AGAIN = timedelta(minutes=1)

Open = Callable[[Credential], Awaitable[Link]]
"""Opens a link that presents a credential."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time and chance, as arguments. `monotonic` in seconds; `random` from 0 to 1."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    random: Callable[[], float]


class Client:
    """Runs until `stop`. All methods belong to the event loop; `changed` may be called from any thread."""

    def __init__(
        self,
        config: ConnectionConfig,
        pins: Pins,
        about: About,
        credentials: Credentials,
        *,
        open_link: Open,
        desk: Desk,
        surroundings: Surroundings,
    ) -> None:
        self._config = config
        self._pins = pins
        self._about = about
        self._credentials = credentials
        self._open = open_link
        self._desk = desk
        self._around = surroundings
        self._numbers = Numbers()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._failures = 0
        self._heartbeat: float = config.heartbeat_seconds
        self._next_refused = 0
        self._ask_from = surroundings.now()

    def changed(self, _report: Report) -> None:
        """There is something new to report. Safe from any thread."""
        self._loop.call_soon_threadsafe(self._wake.set)

    def stop(self) -> None:
        """End the loop after a last message."""
        self._stopping.set()
        self._wake.set()

    async def told_to_stop(self) -> None:
        """Return once `stop` was called."""
        await self._stopping.wait()

    async def run(self) -> None:
        """Connect and converse until stopped."""
        while not self._stopping.is_set():
            pause = await self._once()
            await self._pause(pause)

    async def _once(self) -> float:
        """Hold one session; return how long to pause after it, in seconds."""
        try:
            credential = self._choose()
        except DistributionError as exc:
            return self._failed(exc)
        if credential is None:
            return self._failed(NotAdmittedError("no certificate of this host is valid now; enroll it again"))
        began = self._around.monotonic()
        try:
            if await self._session(credential) is Ended.RENEWED:
                # A clock that is wrong makes every certificate due at once; that must not become a storm.
                life = credential.not_after - credential.not_before
                self._ask_from = self._around.now() + min(_RENEW_AGAIN, life / 10)
        except (DistributionError, KeysError) as exc:
            if self._around.monotonic() - began >= _GOOD_SESSION_SECONDS:
                self._failures = 0
            self._note_refusal(credential, exc)
            return self._failed(exc)
        except Exception as exc:
            # Whatever a server made us trip over, it must not end the agent and its program with it.
            logger.exception("a session ended unexpectedly")
            return self._failed(exc)
        # It renewed its certificate, or it is to stop: neither is a reason to wait.
        self._failures = 0
        return 0.0

    def _choose(self) -> Credential | None:
        usable = self._credentials.usable(self._around.now())
        current = [credential for credential in usable if not credential.is_next]
        if current and self._next_refused >= _REFUSALS_BEFORE_OTHER:
            return current[0]
        return usable[0] if usable else None

    def _note_refusal(self, credential: Credential, exc: Exception) -> None:
        if isinstance(exc, NotAdmittedError):
            self._next_refused = self._next_refused + 1 if credential.is_next else 0

    def _failed(self, exc: Exception) -> float:
        self._failures += 1
        longest = self._config.reconnect_max_seconds
        pause = delay(self._failures, min(_FIRST_PAUSE_SECONDS, longest), longest, self._around.random())
        if isinstance(exc, UnreachableError) and exc.retry_after is not None:
            pause = max(pause, exc.retry_after)
        logger.warning("not connected: %s", exc, extra={"again_in_seconds": round(pause, 1)})
        return pause

    async def _session(self, credential: Credential) -> Ended:
        link = await self._open(credential)
        conversation = Conversation(self._about, self._numbers, self._around.now)
        session = Session(
            link,
            conversation,
            credential,
            agent=self._about.agent,
            agents_url=self._pins.agents_url,
            heartbeat_seconds=self._heartbeat,
            ask_from=self._ask_from,
            credentials=self._credentials,
            desk=self._desk,
            now=self._around.now,
        )
        try:
            return await session.run(self._wake, self._stopping, self._accepted)
        finally:
            self._heartbeat = session.heartbeat_seconds  # an offer that was applied outlives its connection
            await link.close()

    def _accepted(self, credential: Credential) -> None:
        """The server accepted this credential."""
        logger.info("connected", extra={"serial": credential.serial})
        if not credential.is_next and self._next_refused:
            logger.warning("the next certificate was refused; a new one will be asked for")
            self._credentials.discard_next()
        self._next_refused = 0

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
