"""What a message led to, when it is done: taken into what is known of its agent, on the event loop.

Rules:

1. Of a former holder of the uid nothing is taken (`fleet.holders`).
2. What was found in an agent's words is taken, also where the connection that brought them is over.
3. What could not be kept of them is asked for again (`protocol.outcomes`); nobody has to do anything.
4. An offer is taken, and said, only while the connection is there that it was made for.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from distribution.domain.connections import ConnectionOffer
from distribution.errors import BusyError
from distribution.fleet.registry import Registry
from distribution.flows.kept import Kept
from distribution.flows.orders import Outcome
from distribution.flows.ports import Clock
from distribution.flows.talk import Talk
from distribution.protocol.asking import UNANSWERED_MOST, asked_again, may_ask
from distribution.protocol.effects import Effect, Equip
from distribution.protocol.offers import Reply
from distribution.protocol.outcomes import taken
from distribution.protocol.session import Standing
from keys.identity import AgentId
from storage.errors import UnavailableError

logger = logging.getLogger(__name__)


class Aftermath:
    """Takes what orders came to. Belongs to the event loop."""

    def __init__(self, registry: Registry, kept: Kept, talks: Mapping[UUID, Talk], clock: Clock) -> None:
        """`talks` are those that agents have now; they are the caller's."""
        self._registry = registry
        self._kept = kept
        self._talks = talks
        self._clock = clock

    def absorb(self, talk: Talk, effect: Effect, outcome: Outcome, *, here: bool) -> Reply | None:
        """Take what an order of this talk came to; return what is to be said of it, if anything.

        What went wrong with it is logged here: the agent asked for nothing.

        Args:
            talk: whose message it came of.
            effect: what was to be done.
            outcome: what it came to.
            here: whether the talk still is. Of one that is over, what was found in its agent's words is taken
                into the one that the agent has now; but nothing can be said any more.
        """
        said = talk.session
        if said is None or (not here and isinstance(effect, Equip)):
            return None
        agent = AgentId(said.view.uid)
        if talk.holder != self._registry.holders.number(agent):
            return None
        if isinstance(outcome, Exception):
            _log(agent, effect, outcome)
        present = talk if here else self._talks.get(agent.uuid)
        before = None if present is None else present.session
        if before is None:
            before = self._kept.begin(self._registry.view(agent), Standing.CURRENT)
        after = taken(before, effect, outcome, self._clock())
        if after is not before:
            if present is not None:
                present.session = after
            self._kept.keep(before, after)
            self._registry.keep(after.view)
        return Reply(talk.uid, connections=outcome) if isinstance(outcome, ConnectionOffer) else None

    def ask_again(self, talk: Talk) -> Reply | None:
        """Return a question to an agent of which something is missing and that says nothing, if it is due."""
        session, now = talk.state, self._clock()
        if session is None or session.view.sequence is not None or not may_ask(session.asked, now):
            return None
        if not session.greeted or session.standing is Standing.ENROLLING:
            return None
        before = talk.session or session
        talk.session = replace(before, asked=asked_again(session.asked, now))
        self._kept.keep(before, talk.session)
        return Reply(talk.uid, full_state=True)

    def asks_in_vain(self, talk: Talk) -> bool:
        """Whether nothing more is made of what the talk's agent may have said and does not repeat."""
        asked = None if talk.state is None else talk.state.asked
        return asked is not None and asked.times > UNANSWERED_MOST


def _log(agent: AgentId, effect: Effect, error: Exception) -> None:
    told = {"agent": str(agent), "order": type(effect).__name__}
    if isinstance(error, BusyError):
        logger.warning("effect is not carried out, too many wait", extra=told)
    elif isinstance(error, UnavailableError):
        logger.warning("order failed", extra={**told, "reason": str(error)})
    else:
        logger.warning("order failed", extra=told, exc_info=error)
