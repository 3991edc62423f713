"""One line an exchange: who, over what, what came, what went, how long it took. Never what a message holds.

Rules:

1. An exchange that changes nothing (a heartbeat, health as before, and a bare answer) is counted; its line is
   for the level debug. Ten thousand of them a second must not drown the log, nor cost more than the answer.
2. Of the others at most `LINES` are logged; what is beyond that is counted.
3. The counts are told once a minute, and when the server stops.

What a line names are our own words for parts of a message; the agent's words are in none of them.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from distribution.domain.agent import AgentView, Report
from distribution.domain.buckets import Bucket, Rate, drawn, wait
from distribution.flows.watch import Watches
from distribution.protocol.offers import Reply
from distribution.protocol.session import Session, Turn
from keys.identity import AgentId

LINES: Final = Rate(per_second=100, burst=1000)
"""Lines of exchanges that are logged."""

TELL_SECONDS: Final = 60.0

_CAME: Final = (
    ("description", "description"),
    ("health", "health"),
    ("packages", "packages"),
    ("csr", "certificate_request"),
    ("effective", "effective_config"),
    ("config_status", "config_status"),
    ("connection_status", "connection_status"),
    ("components", "components"),
    ("custom_capabilities", "custom_capabilities"),
    ("custom", "custom_message"),
)
_WENT: Final = (
    ("greeting", "greeting"),
    ("full_state", "report_full_state"),
    ("offer", "packages"),
    ("credential", "certificate"),
    ("config", "config"),
    ("connections", "connection_settings"),
    ("restart", "restart"),
    ("components", "report_components"),
    ("new_uid", "new_uid"),
    ("custom", "custom_message"),
    ("refusal", "error"),
)

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """Exchanges since the start."""

    heard: int = 0
    """Messages that were taken; each was answered."""
    quiet: int = 0
    """Those that changed nothing."""
    refused: int = 0
    """Messages that were not taken."""
    not_logged: int = 0
    """Lines that were beyond the bound."""


class ExchangeLog:
    """Logs and counts. Belongs to the event loop."""

    def __init__(self, watches: Watches | None = None) -> None:
        """`watches` are shown what is noted here; who watches sees what the log must not hold."""
        self.counts = Counts()
        self.watched: Mapping[UUID, object] = {} if watches is None else watches.agents
        """Agents of which somebody wants to see each heartbeat: while there are any, all are read."""
        self.each = logger.isEnabledFor(logging.DEBUG)
        """Whether the log wants to."""
        self._watches = watches
        self._told = (0, 0)
        self._bucket: Bucket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to tell the counts."""
        self.each = logger.isEnabledFor(logging.DEBUG)
        self._timer = loop.call_later(TELL_SECONDS, self._tell_again, loop)

    def stop(self) -> None:
        """Tell the counts a last time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.tell()

    def beaten(self) -> None:
        """Note a heartbeat that was answered without being read."""
        self.counts.heard += 1
        self.counts.quiet += 1

    def heard(self, transport: str, before: Session | None, report: Report, turn: Turn, began: float) -> None:
        """Note a message that was taken.

        Args:
            transport: "ws" or "http".
            before: the agent's state before it; None if there was none.
            report: what the message said.
            turn: what it led to.
            began: when it came, in seconds of `time.perf_counter`.
        """
        counts = self.counts
        counts.heard += 1
        agent = turn.session.view.uid  # a token's holder may call itself something else
        if self._watches:
            self._watches.heard(transport, agent, report, turn.reply)
        quiet = turn.reply.bare and _is_quiet(
            None if before is None else before.view, turn.session.view, report
        )
        if quiet:
            counts.quiet += 1
            if not logger.isEnabledFor(logging.DEBUG):
                return
        elif not self._has_room():
            return
        level = logging.DEBUG if quiet else logging.INFO
        fields = {
            "agent": str(agent),
            **({} if report.uid == agent else {"calls_itself": str(report.uid)}),
            "transport": transport,
            "came": came(report),
            "went": went(turn.reply),
            "ms": round((time.perf_counter() - began) * 1000, 2),
        }
        logger.log(level, "exchange", extra=fields)

    def sent(self, transport: str, agent: AgentId | None, reply: Reply) -> None:
        """Note what was sent unasked, or later than the message that asked for it."""
        if self.watched and self._watches:
            self._watches.sent(transport, agent, reply)
        if logger.isEnabledFor(logging.INFO) and self._has_room():
            fields = {"agent": _named(agent), "transport": transport, "came": "nothing", "went": went(reply)}
            logger.info("exchange", extra=fields)

    def ended(self, transport: str, agent: AgentId | None, reply: Reply | None, close: str = "") -> None:
        """Show those who watch what ends a connection; the log has lines of its own for each cause."""
        if self._watches:
            self._watches.ended(transport, agent, reply, close)

    def refused(self, transport: str, who: AgentId | None, error: Exception) -> None:
        """Note a message, or a connection, that was not taken; `who` as far as that is known."""
        self.counts.refused += 1
        if self._watches:
            self._watches.refused(transport, who, error)
        if self._has_room():
            fields = {"agent": _named(who), "transport": transport, "reason": str(error)}
            logger.info("exchange refused", extra=fields)

    def tell(self) -> None:
        """Log the counts, if something happened since the last time."""
        counts = self.counts
        now = counts.heard, counts.refused
        if now != self._told:
            self._told = now
            fields = {
                "heard": counts.heard,
                "quiet": counts.quiet,
                "refused": counts.refused,
                "not_logged": counts.not_logged,
            }
            logger.info("exchanges since the start", extra=fields)

    def _tell_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self.tell()
        self._timer = loop.call_later(TELL_SECONDS, self._tell_again, loop)

    def _has_room(self) -> bool:
        now = time.monotonic()
        if wait(self._bucket, LINES, now) > 0:
            self.counts.not_logged += 1
            return False
        self._bucket = drawn(self._bucket, LINES, now)
        return True


def _named(agent: AgentId | None) -> str | None:
    return None if agent is None else str(agent)


def came(report: Report) -> str:
    """Return what a message speaks of, in our words; "nothing" for a mere heartbeat."""
    parts = [word for name, word in _CAME if getattr(report, name) is not None]
    parts += ["uid_request"] if report.wants_uid else []
    parts += ["goodbye"] if report.disconnect else []
    return " ".join(parts) or "nothing"


def went(reply: Reply) -> str:
    """Return what a reply says, in our words; "nothing" if it is bare."""
    return " ".join(word for name, word in _WENT if getattr(reply, name)) or "nothing"


def _is_quiet(before: AgentView | None, after: AgentView, report: Report) -> bool:
    """Whether nothing changed that is worth a line; parts that are as before are the same objects."""
    if report.is_heartbeat:
        return True
    if before is None or report.csr is not None or report.custom is not None:
        return False
    if report.disconnect or report.wants_uid:
        return False
    return (
        after.health is before.health
        and after.description is before.description
        and after.packages is before.packages
        and after.config is before.config
        and after.effective is before.effective
        and after.connections is before.connections
        and (report.components is None or report.components.listed is None)
        and after.connected == before.connected
    )
