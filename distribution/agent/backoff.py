"""How long to pause before trying again: doubling, bounded, spread. Pure."""


def delay(attempt: int, first: float, longest: float, spread: float = 0.5) -> float:
    """Return the pause before the next attempt, in seconds.

    Args:
        attempt: how many attempts failed in a row, from 1.
        first: pause after the first, in seconds.
        longest: cap, in seconds.
        spread: random number from 0 to 1; it takes up to half of the pause away, so that a fleet that
            lost its server together does not come back together.
    """
    doubled = min(longest, first * 2.0 ** min(max(attempt, 1) - 1, 32))
    return doubled * (1.0 - spread / 2.0)
