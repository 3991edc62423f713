"""Agents behind a gateway: many conversations on one WebSocket, routed by uid, each with an end of its own.

Rules:

1. A conversation is a link of the hub: a revocation ends it, with an answer to its agent, and leaves the
   gateway's socket and the others alone. With the socket all of them end.
2. Whom the gateway may not speak for is answered an error under his own uid; that is journalled.
3. An agent that nobody knows is admitted in the worker thread where the gateway's role says so. Of what it
   says meanwhile only its name and a certificate request are kept: it is asked for the rest afterwards.
4. Memory is bounded: so many conversations, so many newcomers. A conversation that fell silent is ended.
5. To speak for others is a use of the gateway's next certificate too: it becomes the current one.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Final
from uuid import UUID

from distribution.domain.agent import Report
from distribution.domain.terms import Fault
from distribution.errors import BusyError
from distribution.flows.enrol import Caller
from distribution.flows.orders import Bring, Outcome
from distribution.flows.talk import Talk
from distribution.protocol.effects import Certify, Effect
from distribution.protocol.offers import Refusal, Reply
from distribution.protocol.session import Turn
from distribution.transport.desk import Desk, refusal_of, reply_of
from keys.certificate import CredentialId
from keys.errors import NotAdmittedError
from keys.identity import AgentId
from keys.policy import CSR_MAX_BYTES

CONVERSATIONS_MAX: Final = 5000
"""Agents that one gateway's socket carries."""

NEWCOMERS_MAX: Final = 1000
"""Agents that wait to be admitted at first sight, on one socket."""

SILENCE_SECONDS: Final = 300.0
"""After how long without a message a conversation ends."""

Say = Callable[[Reply], None]
"""Says something over the gateway's socket, if that is still open."""

logger = logging.getLogger(__name__)


class Conversation:
    """One agent that a gateway speaks for. A link of the hub without a socket of its own."""

    __slots__ = ("_desk", "_forget", "_say", "agent", "credential", "ended", "heard_at", "talk", "via")
    talks = True

    def __init__(
        self, desk: Desk, talk: Talk, agent: AgentId, say: Say, forget: Callable[[UUID], object]
    ) -> None:
        """`forget` is called when the conversation ends by itself."""
        self._desk = desk
        self._say = say
        self._forget = forget
        self.talk = talk
        self.agent: AgentId | None = agent
        self.credential: CredentialId | None = talk.caller.credential
        self.via: CredentialId | None = None
        self.ended = False
        self.heard_at = asyncio.get_running_loop().time()

    def hear(self, report: Report) -> None:
        """Answer one message."""
        self.heard_at = asyncio.get_running_loop().time()
        began, before = perf_counter(), self.talk.session
        try:
            turn = self._desk.exchange.hear(self.talk, report)
        except NotAdmittedError as exc:
            self._desk.log.refused("ws", self.agent, exc)
            self._desk.note_refusal(self.talk.caller, report.uid, exc)
            self._tell(refusal_of(exc))
            self.end()
        except Exception as exc:  # noqa: BLE001 - a seam: one agent's fault must not take the others along
            self._tell(refusal_of(exc))
        else:
            self._say(turn.reply)
            self._desk.log.heard("ws", before, report, turn, began)
            self._order(turn)
            if report.disconnect:
                self.end()

    def cut(self, reason: str) -> int:
        """Say why, and end."""
        if self.ended:
            return 0
        self._tell(Refusal(Fault.UNKNOWN, f"connection is cut: {reason}"))
        self.end()
        return 1

    def wake(self) -> None:
        """Push what changed."""
        turn = None if self.ended else self._desk.exchange.replan(self.talk)
        if turn is None:
            return
        if not turn.reply.bare:
            self._push(turn.reply)
        self._order(turn)

    def check(self) -> None:
        """End what is over, or silent."""
        try:
            self._desk.exchange.still_admitted(self.talk.caller)
        except NotAdmittedError as exc:
            self.cut(str(exc))
            return
        if asyncio.get_running_loop().time() - self.heard_at > SILENCE_SECONDS:
            self.end()

    def end(self) -> None:
        """Leave the hub; the agent is disconnected unless it talks otherwise."""
        if self.ended:
            return
        self.ended = True
        self._desk.hub.leave(self)
        if self.agent is None:
            return
        self._forget(self.agent.uuid)
        if not self._desk.hub.is_connected(self.agent):
            self._desk.exchange.leave(self.talk)

    def _push(self, reply: Reply) -> None:
        """Say what no message asked for, or asked for earlier."""
        self._say(reply)
        self._desk.log.sent("ws", self.agent, reply)

    def _tell(self, refusal: Refusal) -> None:
        self._say(Reply(self.talk.uid, refusal))

    def _order(self, turn: Turn) -> None:
        uid = turn.session.view.uid
        for effect in turn.effects:
            try:
                self._desk.order(self.talk.caller, uid, effect, partial(self._done, effect))
            except BusyError as exc:
                if isinstance(effect, Certify):
                    self._tell(refusal_of(exc))
                told = {"agent": str(uid), "effect": type(effect).__name__}
                logger.warning("effect is not carried out, too many wait", extra=told)

    def _done(self, effect: Effect, outcome: Outcome) -> None:
        if self.ended:
            return
        if not isinstance(effect, Certify):
            reply = self._desk.exchange.absorb(self.talk, effect, outcome)
            if reply is not None:
                self._push(reply)
            return
        if self.talk.session is not None:
            self._push(reply_of(self.talk, self.talk.session, outcome))
        if outcome is not None and not isinstance(outcome, Exception):
            self.end()  # it has a certificate of its own now, and comes with it


class Behind:
    """All conversations on one gateway's socket."""

    def __init__(self, desk: Desk, gateway: Caller, say: Say) -> None:
        """`gateway` is what the socket's own peer presented."""
        self._desk = desk
        self._gateway = gateway
        self._say = say
        self._conversations: dict[UUID, Conversation] = {}
        self._newcomers: dict[UUID, Report] = {}
        self._used = False
        self._over = False

    def took(self, report: Report) -> bool:
        """Take a message that is not the gateway's own; say whether it was one."""
        if self._gateway.claimed is None or report.uid == self._gateway.claimed.uuid:
            return False
        self.hear(report)
        return True

    def hear(self, report: Report) -> None:
        """Answer one message of an agent behind the gateway."""
        conversation = self._conversations.get(report.uid)
        if conversation is None:
            conversation = self._begin(report)
        if conversation is not None:
            conversation.hear(report)

    def end(self) -> None:
        """The socket is gone, and every conversation with it."""
        self._over = True
        self._newcomers.clear()
        for conversation in list(self._conversations.values()):
            conversation.end()

    def _begin(self, report: Report) -> Conversation | None:
        agent = AgentId(report.uid)
        try:
            _require_room(len(self._conversations), CONVERSATIONS_MAX)
            talk = self._desk.exchange.open_behind(self._gateway, agent)
        except NotAdmittedError as exc:
            if self._desk.exchange.identities.may_bring(self._gateway, agent):
                self._bring(agent, report)
                return None
            self._refuse(report.uid, exc)
            return None
        except BusyError as exc:
            self._say(Reply(report.uid, refusal_of(exc)))
            return None
        made = Conversation(self._desk, talk, agent, self._say, self._forget)
        self._conversations[report.uid] = made
        self._desk.hub.join(made)
        self._desk.displace(made, talk.caller)
        if not self._used:
            self._used = True
            self._desk.use(self._gateway)
        return made

    def _bring(self, agent: AgentId, report: Report) -> None:
        """Have an unknown agent admitted; what it said waits for that."""
        if agent.uuid in self._newcomers:
            return
        try:
            _require_room(len(self._newcomers), NEWCOMERS_MAX)
            self._desk.order(self._gateway, agent.uuid, Bring(), partial(self._brought, agent))
        except BusyError as exc:
            self._say(Reply(agent.uuid, refusal_of(exc)))
            return
        csr = None if report.csr is None or len(report.csr) > CSR_MAX_BYTES else report.csr
        self._newcomers[agent.uuid] = Report(report.uid, report.sequence, report.capabilities, csr=csr)

    def _brought(self, agent: AgentId, outcome: Outcome) -> None:
        report = self._newcomers.pop(agent.uuid, None)
        if self._over or report is None:
            return
        if isinstance(outcome, Exception):
            self._refuse(agent.uuid, outcome)
            return
        self.hear(report)

    def _refuse(self, uid: UUID, error: Exception) -> None:
        self._desk.log.refused("ws", AgentId(uid), error)
        self._desk.note_refusal(self._gateway, uid, error)
        self._say(Reply(uid, refusal_of(error)))

    def _forget(self, uid: UUID) -> None:
        self._conversations.pop(uid, None)


def behind_of(desk: Desk, talk: Talk | None, say: Say) -> Behind | None:
    """Return the place for the conversations of a peer's agents, None if it speaks for nobody else."""
    if talk is None or not desk.exchange.identities.is_gateway(talk.caller):
        return None
    return Behind(desk, talk.caller, say)


def _require_room(there: int, most: int) -> None:
    """Refuse one more than `most`. Raises BusyError."""
    if there >= most:
        raise BusyError(f"gateway's socket carries {there} agents or newcomers, at most {most} are taken")
