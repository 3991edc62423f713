"""Who holds a connection: a ticket for each, and what is remembered of an address while it matters.

An address that keeps connecting and says nothing useful is not refused: its next handshake waits, so that a
client in a loop is slowed down. Nothing is remembered of an address that holds no connection
and whose bucket is full again. Belongs to the event loop.
"""

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from distribution.domain.buckets import Bucket, Rate, drawn, is_full, wait

TICKET: Final = "ticket"
"""Key of a connection's ticket in uvicorn's `app_state`, and in `scope["state"]`."""

FRUITLESS: Final = Rate(per_second=5, burst=50)
"""Handshakes that an address may have for nothing, unless something else is said."""

WAIT_MOST_SECONDS: Final = 5.0
"""The longest an address waits, so that others behind it are not locked out."""


class Ticket:
    """One connection's place. It was for nothing if it was greeted and nobody took anything from it."""

    __slots__ = ("_leave", "fruitful", "greeted", "origin")

    def __init__(self, origin: str, leave: "Callable[[Ticket], None] | None" = None) -> None:
        self.origin = origin
        self.greeted = False
        self.fruitful = False
        self._leave = leave

    def give_back(self) -> None:
        """The connection is gone; the second time nothing happens."""
        if self._leave is not None:
            leave, self._leave = self._leave, None
            leave(self)


class _Origin:
    __slots__ = ("bucket", "held")

    def __init__(self) -> None:
        self.held = 0
        self.bucket: Bucket | None = None


class Arrivals:
    """Counts connections, all and by origin. `time` is the loop's."""

    def __init__(self, time: Callable[[], float], fruitless: Rate = FRUITLESS) -> None:
        self._time = time
        self._fruitless = fruitless
        self._origins: dict[str, _Origin] = {}
        self._resting: set[str] = set()
        """Those that hold nothing, and of which something is remembered; perhaps some that do again."""
        self.held = 0
        """All connections."""

    def __len__(self) -> int:
        """How many origins are remembered."""
        return len(self._origins)

    def held_by(self, origin: str) -> int:
        """Return how many connections come from `origin`."""
        known = self._origins.get(origin)
        return 0 if known is None else known.held

    def enter(self, origin: str) -> Ticket:
        """Count a connection; it counts until its ticket is given back."""
        self._origins.setdefault(origin, _Origin()).held += 1
        self.held += 1
        return Ticket(origin, self._leave)

    def wait(self, origin: str) -> float:
        """Return for how many seconds the origin's next handshake waits."""
        known = self._origins.get(origin)
        bucket = None if known is None else known.bucket
        return min(WAIT_MOST_SECONDS, wait(bucket, self._fruitless, self._time()))

    def forget(self) -> None:
        """Forget origins of which there is nothing to remember."""
        now = self._time()
        for origin in list(self._resting):
            known = self._origins[origin]
            if known.held:
                self._resting.discard(origin)
            elif known.bucket is None or is_full(known.bucket, self._fruitless, now):
                self._resting.discard(origin)
                del self._origins[origin]

    def _leave(self, ticket: Ticket) -> None:
        self.held -= 1
        known = self._origins[ticket.origin]
        known.held -= 1
        if ticket.greeted and not ticket.fruitful:
            known.bucket = drawn(known.bucket, self._fruitless, self._time())
        if known.held:
            return
        if known.bucket is not None:
            self._resting.add(ticket.origin)
        else:
            del self._origins[ticket.origin]


@lru_cache(maxsize=4096)
def network_of(origin: str) -> str:
    """Return in which network an origin is: the /24 of IPv4, the /48 of IPv6 (what one customer gets)."""
    if ":" in origin:
        return str(ipaddress.IPv6Network((origin, 48), strict=False).network_address)
    return origin.rpartition(".")[0] or origin


def origin_of(address: object) -> str:
    """Return by what an address is counted: IPv4 itself, the /64 of IPv6 (what one host gets at least)."""
    host = str(address[0]) if isinstance(address, tuple) and address else ""
    if ":" not in host:
        return host
    parsed = ipaddress.IPv6Address(host.partition("%")[0])
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False).network_address)
