"""OpAMP over WebSocket: the class that uvicorn hands a connection to when an agent asks to upgrade.

No ASGI in between: bytes come into one buffer that all connections share, are cut into messages
(`transport.frames`), understood and answered in the same call. How it opens is in `transport.entering`.

    state       leaves it by
    greeted     101, to open; any other answer, to deaf
    open        a cut, a refusal, the peer's close, shutdown: to deaf
    deaf        the closed socket, soon later (`transport.sender`)

Deaf at once: nothing is taken from the connection any more, whatever is still in the way of closing it.
"""

import asyncio
from functools import partial
from time import perf_counter, thread_time
from typing import Any, Final

from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import CloseCode

from distribution.domain.agent import Report
from distribution.domain.terms import Fault
from distribution.errors import BusyError, PeerError
from distribution.flows.orders import Outcome
from distribution.flows.talk import Talk
from distribution.protocol.effects import Certify, Effect, Promote
from distribution.protocol.offers import Refusal, Reply
from distribution.protocol.reports import from_websocket
from distribution.protocol.session import Turn
from distribution.protocol.wire import WS_HEADER
from distribution.transport.behind import Behind, behind_of
from distribution.transport.closings import Closed
from distribution.transport.desk import ENROLLING_SECONDS, REQUESTS_MAX, Desk, refusal_of, reply_of
from distribution.transport.entering import Entering
from distribution.transport.frames import FrameReader
from distribution.transport.gone import let_go
from distribution.transport.sender import STOP_LINGER_SECONDS, UNREAD_MAX_BYTES
from distribution.transport.worker import Then
from keys.certificate import CredentialId
from keys.errors import NotAdmittedError, RefusedError, TakenError
from keys.identity import AgentId

MESSAGE_SECONDS: Final = 30.0
"""From a message's first byte to its last, at least; it is looked at when links are checked."""

UNREADABLE_MAX: Final = 16
"""Messages that cannot be read, after which a connection ends."""


class AgentSocket(Entering):
    """One agent's WebSocket connection. A link of the hub."""

    talks = True
    via: CredentialId | None = None

    def __init__(
        self, *, config: Config, server_state: ServerState, app_state: dict[str, Any], desk: Desk
    ) -> None:
        del config
        super().__init__(desk, app_state)
        self._connections: set[Any] = server_state.connections
        self._reader: FrameReader | None = None
        self._since = 0.0
        self._begun_at: float | None = None
        self._awaited = 0
        self._stops = False
        self._unreadable = 0
        self._behind: Behind | None = None
        self.credential: CredentialId | None = None
        self.agent: AgentId | None = None

    # What uvicorn and the loop call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over from the HTTP class."""
        self._transport = transport  # type: ignore[assignment] # a stream's is a full one
        self._since = asyncio.get_running_loop().time()
        self._connections.add(self)
        self._transport.set_write_buffer_limits(UNREAD_MAX_BYTES)

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came."""
        reader = self._reader
        if self._deaf or reader is None:
            return
        desk, talk, log = self._desk, self._talk, self._desk.log
        whole = reader.whole(desk.scratch, nbytes)
        if whole is not None:
            quick = self._behind is None and self._bare  # a gateway's answers differ in their uids
            if quick and talk and not (log.each or log.watched) and desk.exchange.beat(talk, whole):
                log.beaten()
                desk.outbox.later(self._transport, self._bare)
            else:
                self._take(whole)
            return
        messages = reader.feed(memoryview(desk.scratch)[:nbytes])
        for payload in messages:
            if not self._take(payload):
                return
        out = reader.take_out()
        if out:
            self._write(b"".join(out))
        if reader.ended:
            self._broken(reader)
            self._deafen()
        elif not reader.begun:
            self._begun_at = None
        elif messages or self._begun_at is None:
            self._begun_at = asyncio.get_running_loop().time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        del exc
        self._gone()
        self._connections.discard(self)
        self._desk.hub.leave(self)
        self._ticket.give_back()
        if self._behind is not None:
            self._behind.end()
        if self._talk is not None and self.agent is not None and not self._desk.hub.is_connected(self.agent):
            self._desk.exchange.leave(self._talk)
        let_go(self._transport)

    def begin_end(self) -> None:
        """The server stops; this connection's turn comes."""

    def shutdown(self) -> None:
        """The server stops: close with a hint when to come again, but not before what the agent waits for."""
        self._stops = True
        if self._awaited == 0 and not self._deaf:
            stops = Refusal(Fault.UNAVAILABLE, "server stops", self._desk.load.pause())
            self._end(CloseCode.SERVICE_RESTART, "server stops", stops, linger=STOP_LINGER_SECONDS)

    # What the hub calls.

    def cut(self, reason: str) -> int:
        """Become deaf, say why, close."""
        if self._deaf:
            return 0
        self._end(CloseCode.POLICY_VIOLATION, reason, Refusal(Fault.UNKNOWN, f"connection is cut: {reason}"))
        return 1

    def wake(self) -> None:
        """Push what changed; to a peer that does not read, once it does."""
        if self._blocked is not None:
            self._owes_wake = True
            return
        talk, desk = self._talk, self._desk
        if self._deaf or talk is None:
            return
        waking = desk.exchange.waking
        push = waking.alike(talk, desk.hub.moment)
        if waking.any_gateway and self._behind is None:
            self._behind = behind_of(desk, talk, self._say_of_others)
        if push is None:
            turn = desk.exchange.replan(talk)
            if turn is not None:
                if not turn.reply.bare:
                    self._push(turn.reply)
                self._order(talk, turn)
        elif not push.bare and self.agent is not None:
            desk.outbox.later(self._transport, desk.fanout.frame(push.reply, self.agent.uuid, desk.terms))
            desk.log.sent("ws", self.agent, push.reply)

    def check(self) -> None:
        """Close what is over."""
        if self._deaf or self._talk is None:
            return
        try:
            self._desk.exchange.still_admitted(self._talk.caller)
        except NotAdmittedError as exc:
            self._ended_for(Closed.NOT_ADMITTED, str(exc))
            self.cut(str(exc))
            return
        now = asyncio.get_running_loop().time()
        age = now - self._since
        if self._begun_at is not None and now - self._begun_at > MESSAGE_SECONDS:
            self._end_for(Closed.TOO_SLOW, f"message took longer than {MESSAGE_SECONDS:.0f} s")
        elif self.credential is None and age > ENROLLING_SECONDS:
            self._end_for(Closed.TOO_SLOW, f"enrolling took longer than {ENROLLING_SECONDS:.0f} s")
        elif self._blocked is None:
            self._ask_again(self._talk)

    # What the handshake leads to.

    def _begin(self, talk: Talk) -> None:
        """The peer may enter."""
        self._talk, self.credential = talk, talk.caller.credential
        talk.prefix = WS_HEADER
        self.agent = None if talk.session is None else AgentId(talk.session.view.uid)
        self._behind = self._behind or behind_of(self._desk, self._talk, self._say_of_others)

    def _opened(self, talk: Talk) -> None:
        """It is told so; from now on it speaks in frames."""
        self._reader = FrameReader(self._desk.cap(talk.caller))
        self._desk.hub.join(self)

    # Messages.

    def _take(self, payload: bytes) -> bool:
        """Answer one message; return whether the next one may be taken."""
        talk = self._talk
        if talk is None:
            return False
        began, before = perf_counter(), talk.session
        try:
            report = self._understood(payload)
            if self._behind is not None and self._behind.took(report):
                return not self._deaf
            turn = self._desk.exchange.hear(talk, report)
            self._ticket.fruitful = True
        except PeerError as exc:
            self._desk.log.refused("ws", self.agent, exc)
            self._say(Reply(None, refusal_of(exc)))
            self._unreadable += 1
            if self._unreadable >= UNREADABLE_MAX:
                self._end_for(Closed.UNREADABLE, f"{UNREADABLE_MAX} messages could not be read")
        except NotAdmittedError as exc:
            self._desk.log.refused("ws", self.agent, exc)
            self._desk.note_refusal(talk.caller, None, exc)
            self._desk.load.closings.counts[Closed.NOT_ADMITTED] += 1  # its line is that of the refusal
            self._end(CloseCode.POLICY_VIOLATION, str(exc), refusal_of(exc))
        except Exception as exc:  # noqa: BLE001 - a seam: one message's fault must not take others along
            self._end(CloseCode.INTERNAL_ERROR, "internal error", refusal_of(exc))
        else:
            self._say(turn.reply)
            if turn.reply.greeting:  # a connection that says nothing takes nobody's place
                self._desk.displace(self, talk.caller)
            self._desk.log.heard("ws", before, report, turn, began)
            self._order(talk, turn)
        return not self._deaf

    def _understood(self, payload: bytes) -> Report:
        """Return what a message says. Raises MalformedError."""
        began = thread_time()
        try:
            return from_websocket(payload)
        finally:
            if rest := self._desk.charge(self.agent, len(payload), thread_time() - began):
                self._rest(rest)

    def _order(self, talk: Talk, turn: Turn) -> None:
        uid = turn.session.view.uid
        for effect in turn.effects:
            try:
                self._require_few(effect)
                self._desk.order(talk.caller, uid, effect, self._then(effect), talk.holder)
                self._awaited += isinstance(effect, (Certify, Promote))
            except BusyError as exc:
                if isinstance(effect, (Certify, Promote)):
                    # The agent comes again, and with it what could not be taken now.
                    self._end(CloseCode.TRY_AGAIN_LATER, str(exc), refusal_of(exc))
                    return
                self._absorb(effect, exc)

    def _require_few(self, effect: Effect) -> None:
        if isinstance(effect, Certify) and self._awaited >= REQUESTS_MAX:
            words = f"{self._awaited} certificate requests of this connection wait already"
            self._ended_for(Closed.TOO_OFTEN, words)
            raise BusyError(words)

    def _then(self, effect: Effect) -> Then:
        match effect:
            case Certify():
                return self._certified
            case Promote():
                return self._promoted
        return partial(self._absorb, effect)

    def _absorb(self, effect: Effect, outcome: Outcome) -> None:
        if self._talk is None:
            return
        aftermath = self._desk.exchange.aftermath
        reply = aftermath.absorb(self._talk, effect, outcome, here=not self._deaf)
        if reply is not None:
            self._push(reply)

    def _certified(self, outcome: Outcome) -> None:
        self._awaited -= 1
        if self._deaf or self._talk is None or self._talk.session is None:
            return
        renamed = self._desk.exchange.rename(self._talk) if isinstance(outcome, TakenError) else None
        self._push(renamed or reply_of(self._talk, self._talk.session, outcome))
        if renamed is None and isinstance(outcome, RefusedError) and self.credential is None:
            self._end_for(Closed.NOT_ADMITTED, str(outcome))
        elif self._stops:
            self.shutdown()

    def _promoted(self, outcome: Outcome) -> None:
        self._awaited -= 1
        if isinstance(outcome, NotAdmittedError):
            self.cut(str(outcome))
        elif isinstance(outcome, Exception) and not self._deaf:
            # Its old credential is still the current one: the next connection promotes again.
            self._end(CloseCode.TRY_AGAIN_LATER, "try again", refusal_of(outcome))
        elif self._stops:
            self.shutdown()
