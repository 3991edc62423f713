"""When this server bears no more, and when a peer that was turned away is to come again. Pure.

What counts is what a new peer would wait for:

* the event loop is late: everybody waits;
* orders wait for the worker: whoever needs a certificate waits, and only he.

Handshakes are bounded where connections come in, by the places there are: who waits for one is not refused.
Peers that are connected already are always served: to turn them away would cost more than to answer.
"""

from dataclasses import dataclass
from typing import Final

LATE_SECONDS: Final = 0.5
"""How late the event loop may be, smoothed, before newcomers are turned away."""

ORDERS_WAIT_SECONDS: Final = 5.0
"""How old the oldest order of the worker may be before nobody new may enroll."""

RETRY_LEAST_SECONDS: Final = 5
RETRY_MOST_SECONDS: Final = 30
"""Between these a peer is asked to wait; where in between is drawn anew each time."""


@dataclass(frozen=True, slots=True)
class Strain:
    """How much there is to do. Times in seconds."""

    loop_late: float = 0.0
    oldest_order: float = 0.0
    """Age of the order that has waited longest."""


def why_not(strain: Strain, *, enrolls: bool) -> str | None:
    """Return why a new peer is turned away now, None if it is not.

    Args:
        strain: as measured.
        enrolls: whether it comes for a certificate.
    """
    if strain.loop_late > LATE_SECONDS:
        return f"server is overloaded: {strain.loop_late:.1f} s late, at most {LATE_SECONDS} s are borne"
    if enrolls and strain.oldest_order > ORDERS_WAIT_SECONDS:
        return (
            f"server is overloaded: a certificate request waits for {strain.oldest_order:.0f} s, "
            f"at most {ORDERS_WAIT_SECONDS:.0f} s are borne"
        )
    return None


def retry_after(least: float, share: float) -> int:
    """Return after how many whole seconds a peer may come again, at least `least`.

    Args:
        least: seconds until it can make a difference; 0 where nobody knows.
        share: where between least and most, from 0 up to 1, drawn at random for each peer.
    """
    floor = max(least, RETRY_LEAST_SECONDS)
    return int(floor + share * (RETRY_MOST_SECONDS - RETRY_LEAST_SECONDS) + 0.999)


def smoothed(late: float, measured: float) -> float:
    """Return how late the loop is, from what it was and what was measured: one slow step is no strain."""
    return late * 0.7 + measured * 0.3
