"""How many certificates one agent may ask for in which time: each leaves rows that are never deleted."""

from datetime import timedelta
from typing import Final

from keys.errors import RefusedError
from keys.identity import AgentId

RENEWALS_MAX: Final = 60
RENEWALS_SPAN: Final = timedelta(hours=1)
"""An agent needs one certificate in days; these many in this time leave room for any mishap."""


def require_seldom(asked: int, agent: AgentId) -> None:
    """Refuse an agent that was given `asked` certificates within `RENEWALS_SPAN`. Raises RefusedError."""
    if asked >= RENEWALS_MAX:
        raise RefusedError(
            f"agent {agent} was given {asked} certificates in {RENEWALS_SPAN}, at most {RENEWALS_MAX} are"
        )
