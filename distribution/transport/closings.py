"""Connections that were ended for what their peer did: counted by reason, told in a line each within bounds.

Rules: one connection is one line, with the reason, both sizes of what was too large, the address, and the
agent where it is known. An address has a few lines, and then one in a while; what was left out is told with
its next line. All addresses together have a bound too. Every closing is counted, whether it is told or not.
"""

import enum
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from websockets.frames import CloseCode

from distribution.domain.buckets import Bucket, Rate, drawn, wait
from distribution.transport.frames import Broken
from keys.identity import AgentId

PER_ADDRESS: Final = Rate(per_second=1 / 60, burst=5)
"""Lines about one address."""

TOGETHER: Final = Rate(per_second=5, burst=200)
"""Lines about all of them."""

ADDRESSES_MAX: Final = 10_000
"""Addresses whose lines are counted; beyond that the one that came longest ago is forgotten."""

logger = logging.getLogger(__name__)


class Closed(enum.Enum):
    """For what a connection was ended, as it is counted."""

    TOO_LARGE = "too_large"
    """A message over its limit (1009)."""
    TEXT = "text"
    """A text message (1003)."""
    MALFORMED = "malformed"
    """No WebSocket frame (1002, 1007)."""
    UNREADABLE = "unreadable"
    """Too many messages that are not OpAMP."""
    TOO_SLOW = "too_slow"
    """A message, or enrolling, that takes too long."""
    READS_SLOWLY = "reads_slowly"
    """Its answers are not taken."""
    NOT_ADMITTED = "not_admitted"
    """A message of an agent that it may not speak for, or its credential ended."""
    TOO_OFTEN = "too_often"
    """Too many certificate requests at once."""
    TURNED_AWAY = "turned_away"
    """It did not come in: too often, or at a bad time."""


_BY_CODE: Final = {CloseCode.MESSAGE_TOO_BIG: Closed.TOO_LARGE, CloseCode.UNSUPPORTED_DATA: Closed.TEXT}


@dataclass(slots=True)
class _Address:
    bucket: Bucket | None = None
    left_out: int = 0


class Closings:
    """Counts and tells. Belongs to the event loop."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(Closed, 0)
        """Since the start."""
        self._together: Bucket | None = None
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    def note(
        self,
        why: Closed,
        words: str,
        *,
        origin: str,
        agent: AgentId | None,
        now: float,
        transport: str = "ws",
        **more: int | None,
    ) -> None:
        """Count one closing, and tell it if there is room.

        Args:
            why: as what it is counted.
            words: what was wrong, with both values.
            origin: by what its address is counted.
            agent: who it was, None where that is not known.
            now: seconds of a monotonic clock.
            transport: "ws" or "http".
            more: other fields of the line; what is None is left out.
        """
        self.counts[why] += 1
        address = self._addresses.setdefault(origin, _Address())
        self._addresses.move_to_end(origin)
        if len(self._addresses) > ADDRESSES_MAX:
            self._addresses.popitem(last=False)
        if wait(address.bucket, PER_ADDRESS, now) > 0 or wait(self._together, TOGETHER, now) > 0:
            address.left_out += 1
            return
        address.bucket, self._together = (
            drawn(address.bucket, PER_ADDRESS, now),
            drawn(self._together, TOGETHER, now),
        )
        fields: dict[str, object] = {name: value for name, value in more.items() if value is not None}
        if address.left_out:
            fields["left_out"], address.left_out = address.left_out, 0
        named = None if agent is None else str(agent)
        told = {"agent": named, "transport": transport, "remote": origin, "why": why.value, "reason": words}
        logger.info("connection closed for its peer's fault", extra={**told, **fields})

    def broken(self, broken: Broken, *, origin: str, agent: AgentId | None, now: float) -> None:
        """Note a connection that was ended for its frames."""
        self.note(
            _BY_CODE.get(broken.code, Closed.MALFORMED),
            broken.words,
            origin=origin,
            agent=agent,
            now=now,
            code=int(broken.code),
            bytes=broken.size,
            most_bytes=broken.most,
        )
