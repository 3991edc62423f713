"""Agents behind a gateway: many conversations on one WebSocket, routed by uid, each with an end of its own.

Rules:

1. A conversation is a link of the hub: a revocation ends it, with an answer to its agent, and leaves the
   gateway's socket and the others alone. With the socket all of them end.
2. Whom the gateway may not speak for is answered an error under his own uid; that is journalled.
3. An agent that nobody knows is admitted in the worker thread where the gateway's role says so. Of what it
   says meanwhile only its name and a certificate request are kept: it is asked for the rest afterwards.
4. Memory is bounded: so many conversations, newcomers, certificate requests. Where there is no room, the
   conversation that has been silent for longest gives way, if it has been for `SILENCE_SECONDS`.
5. Who promised heartbeats and missed them is gone; another one is there as long as the socket is.
6. To speak for others is a use of the gateway's next certificate too: it becomes the current one.
"""

import asyncio
from collections import OrderedDict
from functools import partial
from typing import Final
from uuid import UUID

from distribution.domain.agent import Report
from distribution.errors import BusyError
from distribution.flows.enrol import Caller
from distribution.flows.orders import Bring, Outcome
from distribution.flows.talk import Talk
from distribution.protocol.offers import Reply
from distribution.transport.conversation import SILENCE_SECONDS, Conversation, Say, Socket
from distribution.transport.desk import Desk, refusal_of
from keys.errors import NotAdmittedError
from keys.identity import AgentId
from keys.policy import CSR_MAX_BYTES

CONVERSATIONS_MAX: Final = 5000
"""Agents that one gateway's socket carries."""

NEWCOMERS_MAX: Final = 1000
"""Agents that wait to be admitted at first sight, on one socket."""


class Behind:
    """All conversations on one gateway's socket."""

    def __init__(self, desk: Desk, gateway: Caller, say: Say) -> None:
        """`gateway` is what the socket's own peer presented."""
        self._desk = desk
        self._gateway = gateway
        self._say = say
        self._conversations: OrderedDict[UUID, Conversation] = OrderedDict()
        """The one that was heard last comes last."""
        self._socket = Socket(say, self._forget)
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
        else:
            self._conversations.move_to_end(report.uid)
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
            self._make_room()
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
        made = Conversation(self._desk, talk, agent, self._socket)
        self._conversations[report.uid] = made
        self._desk.hub.join(made)
        self._desk.displace(made, talk.caller)
        if not self._used:
            self._used = True
            self._desk.use(self._gateway)
        return made

    def _make_room(self) -> None:
        """Let the conversation go that was silent for longest. Raises BusyError: none was for long."""
        if len(self._conversations) >= CONVERSATIONS_MAX:
            quietest = next(iter(self._conversations.values()))
            if asyncio.get_running_loop().time() - quietest.heard_at > SILENCE_SECONDS:
                quietest.end()
        _require_room(len(self._conversations), CONVERSATIONS_MAX)

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
