"""What both transports of OpAMP share: understanding a message, saying no, and having effects carried out.

Rules: what cannot be read is answered, never ignored; what goes wrong on this side is logged here, once, and
the agent is told only that it did; a refusal that concerns security is also journalled.
"""

import logging
import math
from dataclasses import dataclass, field
from time import monotonic
from typing import Final
from uuid import UUID

from distribution.domain.connections import Credential
from distribution.domain.terms import Terms
from distribution.errors import BusyError, TooOftenError, TurnedAwayError
from distribution.flows.enrol import Caller
from distribution.flows.equip import beside_credential
from distribution.flows.exchange import Exchange
from distribution.flows.orders import Bring, Displaced, Order, Outcome, Refused
from distribution.flows.talk import Talk
from distribution.protocol.effects import Effect, Promote, Reported
from distribution.protocol.offers import Refusal, Reply
from distribution.protocol.session import Session
from distribution.transport.closings import Closed
from distribution.transport.errors import answer_for
from distribution.transport.exchange_log import ExchangeLog
from distribution.transport.fanout import Fanout
from distribution.transport.hub import Hub, Link
from distribution.transport.load import Load
from distribution.transport.outbox import Outbox
from distribution.transport.worker import Then, Worker
from keys.identity import AgentId

ENROLLING_MAX_BYTES: Final = 65_536
"""Largest message of a peer without a certificate: a request for one, and a description."""

REQUESTS_MAX: Final = 4
"""Certificate requests of one connection that wait at the same time; the next one ends it."""

ENROLLING_SECONDS: Final = 120.0
"""How long a connection without a certificate may last."""

SCRATCH_BYTES: Final = 65_536

HEAVY_SECONDS: Final = 0.01
"""How much processor a message may take to read before its agent has to rest; most take less than a
thousandth, and none more than a few hundredths (`protocol.skim`)."""

HEAVY_BYTES: Final = 65_536
"""How large a message is at least that takes long by itself, and not because the machine was busy."""

REST_TIMES: Final = 9
"""How often as long it rests: so it has a tenth of the event loop's time at most."""

REST_MOST_SECONDS: Final = 20.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a connection needs. `path` is the endpoint's, `max_bytes` caps a message."""

    exchange: Exchange
    worker: Worker
    reader: Worker
    """For what agents report at length: reading that may take seconds."""
    hub: Hub
    load: Load
    log: ExchangeLog
    terms: Terms
    path: str
    max_bytes: int
    scratch: bytearray = field(default_factory=lambda: bytearray(SCRATCH_BYTES))
    """Where every connection's bytes are received; they are taken out of it before the next ones come."""

    fanout: Fanout = field(default_factory=Fanout)
    outbox: Outbox = field(default_factory=Outbox)

    resting: dict[AgentId, float] = field(default_factory=dict)
    """Until when agents rest whose messages took long to read, by the monotonic clock."""

    def charge(self, agent: AgentId | None, size: int, seconds: float) -> float:
        """Note what it took to read a message; return for how many seconds its agent is not heard now.

        `seconds` are the thread's own: that the machine is busy is no agent's fault.
        """
        if agent is None or size < HEAVY_BYTES or seconds < HEAVY_SECONDS:
            return 0.0
        now, rest = monotonic(), min(seconds * REST_TIMES, REST_MOST_SECONDS)
        for other in [known for known, until in self.resting.items() if until <= now]:
            del self.resting[other]
        self.resting[agent] = now + rest
        logger.warning("message took long to read", extra={"agent": str(agent), "seconds": round(seconds, 3)})
        return rest

    def require_rested(self, agent: AgentId | None) -> None:
        """Check that an agent that comes again does not rest. Raises TooOftenError."""
        left = 0.0 if agent is None else self.resting.get(agent, 0.0) - monotonic()
        if left > 0:
            raise TooOftenError(f"messages of agent {agent} take too long to read", math.ceil(left))

    def turned_away(self, transport: str, origin: str, caller: Caller, error: TurnedAwayError) -> None:
        """Note that a peer is not let in now."""
        closings, now = self.load.closings, monotonic()
        closings.note(
            Closed.TURNED_AWAY, str(error), origin=origin, agent=caller.claimed, now=now, transport=transport
        )

    def cap(self, caller: Caller) -> int:
        """Return the largest message that this peer may send, in bytes."""
        known = caller.credential is not None
        return self.max_bytes if known else min(self.max_bytes, ENROLLING_MAX_BYTES)

    def order(
        self,
        caller: Caller,
        uid: UUID | None,
        effect: Effect | Refused | Bring | Displaced,
        then: Then | None = None,
        holder: int = 0,
    ) -> None:
        """Have an effect carried out, for this holder of its uid (`fleet.holders`). Raises BusyError."""
        worker = self.reader if isinstance(effect, Reported) else self.worker
        worker.submit(Order(caller, None if uid is None else AgentId(uid), effect, holder), then)

    def displace(self, newest: Link, caller: Caller) -> None:
        """Of two connections by one credential the newest wins; that there was another is journalled.

        A gateway may have several sockets: of what it says for one agent the newest conversation wins.
        """
        if self.exchange.identities.is_gateway(caller):
            return
        why = f"agent {newest.agent} connected again from {caller.remote}"
        if self.hub.displace(newest, why) == 0 or newest.agent is None:
            return
        try:
            self.order(caller, newest.agent.uuid, Displaced(why))
        except BusyError:
            logger.warning("displaced connection is not journalled", extra={"agent": str(newest.agent)})

    def use(self, gateway: Caller) -> None:
        """Have a gateway's next certificate made the current one: it was used, if only for others."""
        if gateway.claimed is None or not self.exchange.identities.is_next(gateway):
            return
        try:
            self.order(gateway, gateway.claimed.uuid, Promote())
        except BusyError:
            logger.warning("certificate is not promoted yet", extra={"agent": str(gateway.claimed)})

    def note_refusal(self, caller: Caller, uid: UUID | None, error: Exception) -> None:
        """Journal that a peer was refused, if there is room for it."""
        try:
            self.order(caller, uid, Refused(str(error)))
        except Exception:
            logger.exception("refusal could not be noted", extra={"remote": caller.remote})


def refusal_of(error: Exception) -> Refusal:
    """Return what the agent is told about `error`, and log it if it is ours."""
    answer = answer_for(error)
    if answer.ours:
        logger.error("message could not be handled", exc_info=error)
    return Refusal(answer.fault, answer.text, answer.retry_after)


def reply_of(talk: Talk, session: Session, outcome: Outcome) -> Reply:
    """Return what a certificate request is answered with; `session` is the talk's."""
    uid = talk.uid or session.view.uid
    if isinstance(outcome, Credential):
        return Reply(uid, credential=outcome, connections=beside_credential(session, talk.plan))
    if isinstance(outcome, Exception):
        return Reply(uid, refusal_of(outcome))
    return Reply(uid)
