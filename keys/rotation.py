"""When a certificate is to be renewed: at two thirds of its life, spread so that not all come at once.

Pure: the time and each agent's spread come in as arguments.
"""

from datetime import datetime, timedelta
from typing import Final

RENEW_AT: Final = 2 / 3
"""The part of its life after which a certificate is renewed."""

SPREAD: Final = 1 / 6
"""The part of its life by which renewals are spread before that."""


def renewal_at(not_before: datetime, not_after: datetime, spread: float = 0.0) -> datetime:
    """Return when the certificate becomes due.

    Args:
        not_before: when it begins, aware UTC.
        not_after: when it ends, aware UTC.
        spread: 0 to 1, an agent's own share of the spread: 0 renews at 2/3 of the life, 1 at 1/2.

    Raises:
        ValueError: the life is not positive, or the spread not between 0 and 1.
    """
    life = not_after - not_before
    if life <= timedelta(0):
        raise ValueError(f"certificate ends at {not_after.isoformat()}, not after {not_before.isoformat()}")
    if not 0 <= spread <= 1:
        raise ValueError(f"spread {spread} is not between 0 and 1")
    return not_before + life * (RENEW_AT - SPREAD * spread)


def renewal_due(not_before: datetime, not_after: datetime, now: datetime, spread: float = 0.0) -> bool:
    """Say whether the certificate is to be renewed at `now`. Arguments and errors as `renewal_at`."""
    return now >= renewal_at(not_before, not_after, spread)
