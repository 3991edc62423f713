"""How strained this server is, and whether a newcomer is let in: the shell around `domain.overload`.

Rules: peers that are connected are served whatever happens; newcomers are turned away with a pause that
differs from one to the next, so that they do not come back together; enrollments are counted by address,
and then with a token of ours all together; those with a made-up one have a count of their own, so that
nobody without a token takes anything from those who have one. Belongs to the event loop.
"""

import asyncio
import enum
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from distribution.domain.buckets import Bucket, Rate, drawn, wait
from distribution.domain.overload import Strain, retry_after, smoothed, why_not
from distribution.errors import OverloadedError, TooOftenError, TurnedAwayError
from distribution.transport.closings import Closings

MEASURE_SECONDS: Final = 0.25
"""How often it is measured how late the loop is."""

ADDRESSES_MAX: Final = 10_000
"""Addresses whose enrollments are remembered; beyond that the one that came longest ago is forgotten."""


class Why(enum.Enum):
    """For what a newcomer is turned away, as it is counted."""

    STOPS = "stops"
    OVERLOADED = "overloaded"
    NO_CERTIFICATES = "no_certificates"
    ADDRESS = "address"
    """Too many enrollments of its address."""
    TOGETHER = "together"
    """Too many enrollments with a token of ours."""
    MADE_UP = "made_up"
    """Too many with a token that is not."""


@dataclass(frozen=True, slots=True)
class Enrollments:
    """How often peers without a certificate may ask for one."""

    together: Rate
    per_address: Rate


USUAL: Final = Enrollments(together=Rate(100, 1000), per_address=Rate(20, 200))


def _never() -> str | None:
    return None


class Load:
    """What newcomers to the agents' listener meet."""

    def __init__(
        self,
        share: Callable[[], float],
        enrollments: Enrollments,
        is_token: Callable[[str], bool],
        why_away: Callable[[], str | None] = _never,
    ) -> None:
        """Stand ready.

        Args:
            share: returns a random number from 0 up to 1.
            enrollments: how many there may be.
            is_token: says whether an enrollment token is ours; asked for each newcomer, so it MUST be cheap.
            why_away: says why no certificate can be issued now, None if it can.
        """
        self._share = share
        self._is_token = is_token
        self._why_away = why_away
        self._enrollments = enrollments
        self.oldest_order: Callable[[], float] = float
        """Returns for how many seconds the oldest order for the worker has been waiting."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._together: dict[bool, Bucket] = {}
        """All enrollments: those with a token of ours, and the others."""
        self._addresses: OrderedDict[str, Bucket] = OrderedDict()
        self.late = 0.0
        """How late the event loop is, in seconds, smoothed."""
        self.turned_away = dict.fromkeys(Why, 0)
        """Newcomers that were turned away, since the start."""
        self.closings = Closings()
        """Connections that were ended for their peer's fault."""
        self._gone_at: float | None = None
        self._spread = 0.0

    def start(self, loop: asyncio.AbstractEventLoop, oldest_order: Callable[[], float]) -> None:
        """Begin to measure; `oldest_order` is the age of what waits longest for the worker, in seconds."""
        self._loop = loop
        self.oldest_order = oldest_order
        self._measure(loop.time())

    @property
    def stops(self) -> bool:
        """Whether the server stops."""
        return self._gone_at is not None

    def begin_end(self, gone_in: float, spread: float) -> None:
        """The server stops: nobody new is let in.

        Args:
            gone_in: seconds until the last connection is closed.
            spread: seconds over which peers are to come back.
        """
        self._gone_at, self._spread = self._now() + gone_in, spread

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def let_in(self, origin: str, token: str | None) -> None:
        """Check a newcomer.

        Args:
            origin: by what its address is counted.
            token: the enrollment token that it shows, None for one that has a credential.

        Raises:
            OverloadedError: the server bears no more, or stops.
            TooOftenError: too many enrollments, of this address or altogether.
        """
        if self.stops:
            raise self._away(Why.STOPS, OverloadedError("server stops", self.pause()))
        oldest = 0.0 if token is None else self.oldest_order()
        reason = why_not(Strain(self.late, oldest), enrolls=token is not None)
        if reason is not None:
            raise self._away(Why.OVERLOADED, OverloadedError(reason, self.pause()))
        if token is not None:
            if self._why_away() is not None:  # the reason is an operator's to know
                said = "no certificate can be issued now"
                raise self._away(Why.NO_CERTIFICATES, OverloadedError(said, self.pause()))
            self._count_enrollment(origin, token)

    def pause(self, least: float = 0.0) -> int:
        """Return after how many seconds a peer is asked to come again, at least `least`; drawn anew."""
        if self._gone_at is not None:
            return math.ceil(max(1.0, self._gone_at - self._now()) + self._share() * self._spread)
        return retry_after(least, self._share())

    def _now(self) -> float:
        return 0.0 if self._loop is None else self._loop.time()

    def _away(self, why: Why, error: TurnedAwayError) -> TurnedAwayError:
        self.turned_away[why] += 1
        return error

    def _count_enrollment(self, origin: str, token: str) -> None:
        now = self._now()
        allowed, own = self._enrollments, self._addresses.get(origin)
        if (seconds := wait(own, allowed.per_address, now)) > 0:
            said = (
                f"too many enrollments from {origin}: {allowed.per_address.per_second:g} a second are taken"
            )
            raise self._away(Why.ADDRESS, TooOftenError(said, self.pause(seconds)))
        ours = self._is_token(token)
        together = self._together.get(ours)
        if (seconds := wait(together, allowed.together, now)) > 0:
            said = f"too many enrollments: {allowed.together.per_second:g} a second are taken"
            why = Why.TOGETHER if ours else Why.MADE_UP
            raise self._away(why, TooOftenError(said, self.pause(seconds)))
        self._together[ours] = drawn(together, allowed.together, now)
        self._addresses[origin] = drawn(own, allowed.per_address, now)
        self._addresses.move_to_end(origin)
        if len(self._addresses) > ADDRESSES_MAX:
            self._addresses.popitem(last=False)

    def _measure(self, due: float) -> None:
        loop = self._loop
        if loop is None:
            return
        now = loop.time()
        self.late = smoothed(self.late, max(0.0, now - due))
        self._timer = loop.call_later(MEASURE_SECONDS, self._measure, now + MEASURE_SECONDS)
