"""When an offer is made, and when it is made again: one rule for packages, configuration and connections.

1. What an agent does not hold it is offered at once, once a connection.
2. As long as its words do not show that it took it up, it is offered again, ever more rarely.
3. What it tried and could not apply is offered again more rarely still; a reconnect is no reason to hurry.
4. Every further try has another number, because known clients pass over a hash that they saw.
5. What it is working on is left alone: packages until it is done, the rest for `STUCK_AFTER`.
6. Where the clock was set back, what is waited for begins anew: nothing waits for a day that comes twice.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

AGAIN_FIRST: Final = timedelta(minutes=1)
"""Until an offer that is not taken up is made again; doubled each time."""

AGAIN_MOST: Final = timedelta(hours=1)

RETRY_FIRST: Final = timedelta(minutes=10)
"""Until an offer that failed on the agent is made again; doubled each time."""

RETRY_MOST: Final = timedelta(hours=24)

ASK_EVERY: Final = timedelta(seconds=10)
"""Until an agent that does not say everything again is asked once more."""

STUCK_AFTER: Final = timedelta(minutes=30)
"""How long an agent may be applying something before it counts as failed."""

NEVER: Final = datetime.max.replace(tzinfo=UTC)

_DOUBLINGS_MOST: Final = 16


class Stance(Enum):
    """What an agent's own words say of something that it is to have."""

    HELD = "held"
    OPEN = "open"
    """It does not have it, and does not say that it tried."""
    APPLYING = "applying"
    BUSY = "busy"
    """It works on packages; another offer would stop its receiving."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Offered:
    """The last offer made: of what content (digest), how often to this process of the agent, when last.

    `at` is aware UTC; `attempt` is the number of the try in the hash on the wire.
    """

    hash: bytes
    times: int
    at: datetime
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Earlier:
    """The last offers that an agent was made on connections before.

    They count where it took them up: an agent that comes and goes would otherwise wait anew each time for
    what it failed, and never get it.
    """

    packages: Offered | None = None
    config: Offered | None = None

    def packages_if(self, digest: bytes, stance: Stance) -> Offered | None:
        """Return the offer of packages, if it is this one and the agent took it up."""
        return _if_taken_up(self.packages, digest, stance)

    def config_if(self, digest: bytes, stance: Stance) -> Offered | None:
        """Return the offer of a configuration, if it is this one and the agent took it up."""
        return _if_taken_up(self.config, digest, stance)


NOTHING_EARLIER: Final = Earlier()


def _if_taken_up(offered: Offered | None, digest: bytes, stance: Stance) -> Offered | None:
    took = stance is Stance.FAILED or stance is Stance.APPLYING
    return offered if offered is not None and offered.hash == digest and took else None


def decide(
    offered: Offered | None,
    digest: bytes,
    stance: Stance,
    now: datetime,
    *,
    tried: int = 0,
    retry_first: timedelta = RETRY_FIRST,
) -> tuple[int, Offered | None]:
    """Return the number of the try to offer now, 0 for none, and what is to be remembered.

    Args:
        offered: the last offer on this connection, else an earlier one that counts, or None.
        digest: of what the agent is to have.
        stance: what it says of that.
        now: aware UTC.
        tried: the number of the try that it speaks of, 0 if of none.
        retry_first: how long the first failure is waited out.
    """
    if stance in (Stance.HELD, Stance.BUSY):
        return 0, offered
    if offered is None or offered.hash != digest:
        if stance is Stance.APPLYING or (stance is Stance.FAILED and offered is None):
            return 0, Offered(digest, 1, now, max(tried, 1))
        return tried + 1, Offered(digest, 1, now, tried + 1)
    if offered.at > now:  # rule 6
        return 0, replace(offered, at=now)
    if now < due(offered, stance, retry_first):
        return 0, offered
    attempt = max(offered.attempt, tried) + 1
    return attempt, Offered(digest, offered.times + 1, now, attempt)


def due(offered: Offered, stance: Stance, retry_first: timedelta = RETRY_FIRST) -> datetime:
    """Return when what was offered is offered again if the agent's words stay as they are, aware UTC."""
    if stance is Stance.APPLYING:
        return offered.at + STUCK_AFTER
    failed = stance is Stance.FAILED
    first = retry_first if failed else AGAIN_FIRST
    most = max(first, RETRY_MOST if failed else AGAIN_MOST)
    if offered.times == 0:
        return offered.at + (first if failed else ASK_EVERY)
    return offered.at + min(most, first * (1 << min(offered.times - 1, _DOUBLINGS_MOST)))


def quiet_until(offered: Offered | None, stance: Stance, retry_first: timedelta = RETRY_FIRST) -> datetime:
    """Return until when, after `decide`, it finds nothing to offer if the agent's words stay as they are.

    Args:
        offered: what `decide` said is to be remembered.
        stance: what the agent says, with that remembered.
        retry_first: as for `decide`.

    Returns:
        Aware UTC; `NEVER` where only words, or another plan, make a difference.
    """
    if offered is None or stance is Stance.HELD or stance is Stance.BUSY:
        return NEVER
    return due(offered, stance, retry_first)
