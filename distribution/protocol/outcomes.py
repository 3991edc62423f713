"""What becomes of a conversation when an order that came of it is done, or could not be done. Pure.

1. What was found in an agent's words is known from then on.
2. Words that could not be kept count as not said: something is missing, and the agent is asked for it again.
3. So is one whose earlier words are to be compared, and are not there; once for each configuration.
"""

from dataclasses import replace
from datetime import datetime

from distribution.protocol.asking import kept, unkept
from distribution.protocol.effects import Effect, Examine, ExamineAgain, KeepComponents
from distribution.protocol.session import Session
from distribution.protocol.stances import seen


def taken(session: Session, effect: Effect, outcome: object, now: datetime) -> Session:
    """Return the state after an order.

    Args:
        session: the state before, of the connection that the agent has now.
        effect: what was to be done.
        outcome: what it came to; an exception if it could not be done.
        now: aware UTC.
    """
    if isinstance(outcome, Exception):
        return _lost(session, effect, now)
    if isinstance(effect, ExamineAgain) and outcome is None:
        return _not_there(session, effect)
    view, asked = seen(session.view, outcome), kept(session.asked) if outcome is not None else session.asked
    if view is session.view and asked is session.asked:
        return session
    return replace(session, view=view, asked=asked, settled=None)


def _lost(session: Session, effect: Effect, now: datetime) -> Session:
    match effect:
        case KeepComponents():
            session = replace(session, asked_components=b"")
        case Examine() | ExamineAgain():
            pass
        case _:
            return session
    return replace(
        session, view=replace(session.view, sequence=None), asked=unkept(session.asked, now), settled=None
    )


def _not_there(session: Session, effect: ExamineAgain) -> Session:
    digest = effect.intended.digest
    if session.asked_effective == digest:
        return session
    view = replace(session.view, sequence=None)
    return replace(session, view=view, asked_effective=digest, settled=None)
