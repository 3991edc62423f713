"""Whether an agent is there: connected, stale or gone; a pure function of what was last seen of it.

    state       means                                               leaves it by
    CONNECTED   it has a connection, and was heard when it was due  silence, or the end of its connection
    STALE       it was there a while ago                            a message, or more silence
    GONE        nothing was heard of it for long, or ever           a message

When an agent is due depends on how it talks. One that polls is due with each poll. One on a WebSocket that
promised heartbeats is due with each of them. One on a WebSocket that promised none is there as long as its
socket is. Health is another matter, and so are packages: they are what the agent says of itself.

Where the server's clock was set back, a message may lie ahead of it. How long ago it came nobody knows, so it
counts as one that came as long ago as it lies ahead: silence is noticed after twice the time at the latest,
and whoever speaks counts as connected again with its next message.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from distribution.domain.agent import AgentView, Capability

USUAL_BEAT: Final = timedelta(seconds=30)
"""How often clients report that do not take our word for it (OpAMP "OpAMPConnectionSettings")."""


class Liveness(Enum):
    """Whether an agent is there."""

    CONNECTED = "connected"
    STALE = "stale"
    GONE = "gone"

    __hash__ = object.__hash__  # there is one of each; Python's own hashes the name each time


class Wellbeing(Enum):
    """What an agent says of its health."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"

    __hash__ = object.__hash__


class Delivery(Enum):
    """What an agent says of its packages."""

    FAILED = "failed"
    """It could not install or keep one of them."""
    BUSY = "busy"
    """It works on one, and none failed."""
    SETTLED = "settled"
    """Neither; it may not have said anything of packages."""

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Patience:
    """How long agents may be silent.

    `beat` is how often they are told to report, `missed` how many of these may fail to come, `gone_after` how
    long one may be away before it counts as gone.
    """

    beat: timedelta
    missed: int
    gone_after: timedelta


USUAL: Final = Patience(USUAL_BEAT, 3, timedelta(hours=24))
"""What the settings say by default."""


def liveness(
    view: AgentView,
    patience: Patience,
    now: datetime,
    heard_since: datetime | None = None,
    own_beat: timedelta | None = None,
) -> Liveness:
    """Say whether the agent is there.

    Args:
        view: what is known of it.
        patience: how long others are waited for.
        now: aware UTC.
        heard_since: when it was heard last, if that is later than in the view.
        own_beat: the heartbeat that it alone is to have, if it is.
    """
    last_seen = heard_since or view.last_seen
    if view.connected and last_seen is not None:
        allowed = silence_allowed(view, patience, own_beat)
        if allowed is None or abs(now - last_seen) <= allowed:
            return Liveness.CONNECTED
    return away(last_seen, patience, now)


def away(last_seen: datetime | None, patience: Patience, now: datetime) -> Liveness:
    """Say how an agent counts that is not there, by when it was last heard (aware UTC; None: never)."""
    recent = last_seen is not None and abs(now - last_seen) <= patience.gone_after
    return Liveness.STALE if recent else Liveness.GONE


def silence_allowed(
    view: AgentView, patience: Patience, own_beat: timedelta | None = None
) -> timedelta | None:
    """Return how long this agent may be silent on its connection; None: as long as it has one.

    A heartbeat of its own that is quicker than the usual one shortens nothing: who was told is not who obeys.
    """
    if not view.polls and Capability.REPORTS_HEARTBEAT not in view.capabilities:
        return None
    obeys = Capability.ACCEPTS_CONNECTION_SETTINGS in view.capabilities
    beat = patience.beat if obeys else max(patience.beat, USUAL_BEAT)
    if own_beat is not None and obeys:
        beat = max(beat, own_beat)
    return beat * patience.missed


def wellbeing(view: AgentView) -> Wellbeing:
    """Say what the agent says of its health."""
    if view.health is None:
        return Wellbeing.UNKNOWN
    return Wellbeing.HEALTHY if view.health.healthy else Wellbeing.UNHEALTHY


def delivery(view: AgentView) -> Delivery:
    """Say what the agent says of its packages."""
    if view.packages is None:
        return Delivery.SETTLED
    if view.packages.troubled:
        return Delivery.FAILED
    return Delivery.BUSY if view.packages.busy else Delivery.SETTLED
