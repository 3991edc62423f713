"""When an agent that missed something is asked to say everything, and when it is asked again.

1. At once, if it was not asked a moment ago.
2. Ever more rarely while it does not say everything: some answer by a message that is over the limit, which
   ends their connection or is lost, and then come again at once.
3. A reconnect is no reason to hurry: whoever opens a session brings along when its agent was asked.
4. What it said, and could not be kept, counts as missed. While that goes on it is asked ever more rarely: it
   would say everything again for nothing.
5. Until it has said everything it may be working on packages without our knowing; but one that is asked in
   vain goes on as if it had missed nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from distribution.domain.agent import AgentView, Report
from distribution.protocol.pacing import ASK_EVERY

ASK_MOST: Final = timedelta(minutes=10)
"""The longest pause between two questions that are not answered."""

UNANSWERED_MOST: Final = 3
"""Questions in vain, after which no more is made of what may have been missed."""

_DOUBLINGS_MOST: Final = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """That an agent was asked: when last (aware UTC), and how often since it last said everything.

    `lost` is how often in turn its words could not be kept here.
    """

    at: datetime
    times: int = 1
    lost: int = 0

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
    return Asked(now) if asked is None else replace(asked, at=now, times=asked.times + 1)


def answered(asked: Asked | None) -> Asked | None:
    """Return what to remember once the agent has said everything: only when it was asked."""
    return None if asked is None else replace(asked, times=0)


def unkept(asked: Asked | None, now: datetime) -> Asked:
    """Return what to remember where words were lost here at `now` (aware UTC): as if asked in vain."""
    lost = 1 if asked is None else asked.lost + 1
    return Asked(now, UNANSWERED_MOST + lost, lost)


def kept(asked: Asked | None) -> Asked | None:
    """Return what to remember once words were kept."""
    return replace(asked, lost=0) if asked is not None and asked.lost else asked


def is_unsure(view: AgentView, asked: Asked | None) -> bool:
    """Whether the agent may have said something that did not arrive, and may still say it again."""
    missing = view.connected and view.sequence is None
    return missing and (asked is None or asked.times < UNANSWERED_MOST)


def has_missed(before: AgentView, report: Report, *, first: bool) -> bool:
    """OpAMP "Agent Status Compression": a gap in the numbers means that something did not arrive.

    A first message that describes the agent is a full one, and so is one after a gap: it was asked for.
    """
    if report.description is not None and (first or before.sequence is None):
        return False
    gap = before.sequence is None or report.sequence != before.sequence + 1
    return gap or (first and before.description is None)
