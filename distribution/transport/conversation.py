"""One agent behind a gateway: its conversation on the gateway's socket, with an end of its own.

Who promised heartbeats and missed them is gone; another one is there as long as the socket is.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Final
from uuid import UUID

from distribution.domain.agent import Report
from distribution.domain.terms import Fault
from distribution.errors import BusyError
from distribution.flows.orders import Outcome
from distribution.flows.talk import Talk
from distribution.protocol.effects import Certify, Effect
from distribution.protocol.offers import Refusal, Reply
from distribution.protocol.session import Turn
from distribution.transport.desk import REQUESTS_MAX, Desk, refusal_of, reply_of
from keys.certificate import CredentialId
from keys.errors import NotAdmittedError
from keys.identity import AgentId

SOCKET_REQUESTS_MAX: Final = 256
"""Certificate requests that wait at the same time, of all agents on one socket."""

SILENCE_SECONDS: Final = 300.0
"""After how long without a message a conversation may end."""

Say = Callable[[Reply], None]
"""Says something over the gateway's socket, if that is still open."""


@dataclass(slots=True)
class Socket:
    """What all conversations on one gateway's socket share. `forget` is called when one ends by itself."""

    say: Say
    forget: Callable[[UUID], object]
    requests: int = 0
    """Certificate requests that wait."""

    def require_few(self, own: int) -> None:
        """Refuse one more request of an agent of which `own` wait. Raises BusyError."""
        if own >= REQUESTS_MAX or self.requests >= SOCKET_REQUESTS_MAX:
            raise BusyError(
                f"{own} certificate requests of this agent wait, {self.requests} of its gateway's socket, "
                f"at most {REQUESTS_MAX} and {SOCKET_REQUESTS_MAX} may"
            )


class Conversation:
    """One agent that a gateway speaks for. A link of the hub without a socket of its own."""

    __slots__ = (
        "_desk",
        "_socket",
        "_waiting",
        "agent",
        "credential",
        "ended",
        "heard_at",
        "talk",
        "via",
    )
    talks = True

    def __init__(self, desk: Desk, talk: Talk, agent: AgentId, socket: Socket) -> None:
        """`socket` is the gateway's."""
        self._desk = desk
        self._socket = socket
        self._waiting = 0
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
            self._socket.say(turn.reply)
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
        silence = asyncio.get_running_loop().time() - self.heard_at
        if silence > SILENCE_SECONDS and self._desk.exchange.is_overdue(self.talk, silence):
            self.end()
        elif not self.ended and (question := self._desk.exchange.aftermath.ask_again(self.talk)):
            self._push(question)
            if self._desk.exchange.aftermath.asks_in_vain(self.talk):
                self.wake()

    def end(self) -> None:
        """Leave the hub; the agent is disconnected unless it talks otherwise."""
        if self.ended:
            return
        self.ended = True
        self._desk.hub.leave(self)
        if self.agent is None:
            return
        self._socket.forget(self.agent.uuid)
        if not self._desk.hub.is_connected(self.agent):
            self._desk.exchange.leave(self.talk)

    def _push(self, reply: Reply) -> None:
        """Say what no message asked for, or asked for earlier."""
        self._socket.say(reply)
        self._desk.log.sent("ws", self.agent, reply)

    def _tell(self, refusal: Refusal) -> None:
        reply = Reply(self.talk.uid, refusal)
        self._socket.say(reply)
        self._desk.log.ended("ws", self.agent, reply)

    def _order(self, turn: Turn) -> None:
        uid = turn.session.view.uid
        for effect in turn.effects:
            try:
                if isinstance(effect, Certify):
                    self._socket.require_few(self._waiting)
                self._desk.order(self.talk.caller, uid, effect, partial(self._done, effect), self.talk.holder)
                self._count(effect, 1)
            except BusyError as exc:
                if isinstance(effect, Certify):
                    self._tell(refusal_of(exc))
                else:
                    self._absorb(effect, exc)

    def _count(self, effect: Effect, more: int) -> None:
        if isinstance(effect, Certify):
            self._waiting += more
            self._socket.requests += more

    def _absorb(self, effect: Effect, outcome: Outcome) -> None:
        aftermath = self._desk.exchange.aftermath
        reply = aftermath.absorb(self.talk, effect, outcome, here=not self.ended)
        if reply is not None:
            self._push(reply)

    def _done(self, effect: Effect, outcome: Outcome) -> None:
        self._count(effect, -1)
        if not isinstance(effect, Certify):
            self._absorb(effect, outcome)
            return
        if self.ended:
            return
        if self.talk.session is not None:
            self._push(reply_of(self.talk, self.talk.session, outcome))
        if outcome is not None and not isinstance(outcome, Exception):
            self.end()  # it has a certificate of its own now, and comes with it
