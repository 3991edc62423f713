"""When an agent that missed something is asked to say everything, and when it is asked again.

1. At once, if it was not asked a moment ago.
2. Ever more rarely while it does not say everything: some answer by a message that is over the limit, which
   ends their connection or is lost, and then come again at once.
3. A reconnect is no reason to hurry: whoever opens a session brings along when its agent was asked.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from distribution.protocol.pacing import ASK_EVERY

ASK_MOST: Final = timedelta(minutes=10)
"""The longest pause between two questions that are not answered."""

_DOUBLINGS_MOST: Final = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """That an agent was asked: when last (aware UTC), and how often since it last said everything."""

    at: datetime
    times: int = 1

    @property
    def again_at(self) -> datetime:
        """From when it may be asked once more, aware UTC."""
        doublings = min(max(self.times - 1, 0), _DOUBLINGS_MOST)
        return self.at + min(ASK_MOST, ASK_EVERY * (1 << doublings))


def may_ask(asked: Asked | None, now: datetime) -> bool:
    """Say whether to ask at `now` (aware UTC) an agent that was asked before so, or never."""
    # One in the future was asked before the clock was set back.
    return asked is None or not asked.at <= now < asked.again_at


def asked_again(asked: Asked | None, now: datetime) -> Asked:
    """Return what to remember of a question at `now` (aware UTC)."""
    return Asked(now, 1 if asked is None else asked.times + 1)


def answered(asked: Asked | None) -> Asked | None:
    """Return what to remember once the agent has said everything: only when it was asked."""
    return None if asked is None else Asked(asked.at, 0)
