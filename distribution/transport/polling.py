"""OpAMP over plain HTTP: a POST for each message, on the same port and path as the WebSocket form.

A gateway posts for the agents that it may speak for, each message under its agent's uid; what is refused to
one of them is said in the body, under that uid.

An agent's conversation outlives its requests: it is kept under the agent, so that an offer is not repeated
with every poll, and it ends when the agent says so, is cut, or is silent for `SILENCE_SECONDS`. Every request
is admitted for itself; a kept conversation lets nobody in. A peer that enrolls has no conversation: each of
its requests stands alone.

Only 200 counts as an answer for real clients, so what concerns a message that was understood is said in the
body of a 200; 4xx and 5xx are for what was not.
"""

import asyncio
import http
from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter, thread_time
from typing import Any, Final
from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from distribution.domain.agent import Report
from distribution.errors import BusyError, MalformedError, PeerError, TurnedAwayError
from distribution.flows.enrol import Caller
from distribution.flows.orders import Bring, Outcome
from distribution.flows.talk import Talk
from distribution.protocol import wire
from distribution.protocol.effects import Certify, Effect, Equip, Promote
from distribution.protocol.offers import Reply, for_http
from distribution.protocol.reports import from_http
from distribution.protocol.session import Turn
from distribution.transport.arrivals import TICKET, Ticket
from distribution.transport.desk import Desk, refusal_of, reply_of
from distribution.transport.errors import answer_for
from distribution.transport.peer import LINK, caller_of, settle
from distribution.transport.poller import Poller
from distribution.transport.worker import Then
from keys.errors import NotAdmittedError, TakenError
from keys.identity import AgentId

BODY_SECONDS: Final = 30.0
"""How long a request's body may take."""

CERTIFY_SECONDS: Final = 60.0
"""How long a request waits for the certificate it asked for."""


class Polling:
    """The endpoint. `post` is the Starlette endpoint of the one route."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pollers: dict[AgentId, Poller] = {}

    async def post(self, request: Request) -> Response:
        """Answer one message."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != wire.CONTENT_TYPE:
            said = f"content type is {content_type!r}, expected {wire.CONTENT_TYPE!r}\n"
            return PlainTextResponse(said, http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        state = request.scope["state"]
        caller = replace(caller_of(state, request.headers.getlist("authorization")), polls=True)
        ticket = state.get(TICKET) or Ticket("")
        try:
            caller = self._desk.exchange.open(caller).caller  # whoever is not let in is not read
            settle(state, caller)
            self._desk.require_rested(caller.claimed)
            self._require_room(ticket, caller)
            body = await _read(request, self._desk.cap(caller))
            report = self._understood(request, caller, body)
            # Only now: a wake-up while the body came would have missed a conversation begun before it.
            fresh = self._desk.exchange.open(caller)
            if self._is_of_another(fresh, report):
                reply = await self._behind(caller, report, ticket)
            else:
                talk = self._kept(fresh)
                reply = await self._answer(talk, report, ticket)
                self._expect_again(talk, state, body, reply)
        except MalformedError as exc:
            self._desk.log.refused("http", caller.claimed, exc)
            body, _ = for_http(Reply(None, refusal_of(exc)), self._desk.terms, reads_gzip=False)
            return Response(body, http.HTTPStatus.BAD_REQUEST, media_type=wire.CONTENT_TYPE)
        except NotAdmittedError as exc:
            self._desk.log.refused("http", caller.claimed, exc)
            self._desk.note_refusal(caller, None, exc)
            return _refused(exc)
        except (PeerError, TimeoutError) as exc:
            self._desk.log.refused("http", caller.claimed, exc)
            return _refused(exc)
        except TurnedAwayError as exc:
            self._desk.turned_away("http", ticket.origin, caller, exc)
            return _refused(exc)
        return self._response(request, reply)

    def _understood(self, request: Request, caller: Caller, body: bytes) -> Report:
        """Return what a body says. Raises as `from_http`."""
        encoding, cap = request.headers.get("content-encoding", ""), self._desk.cap(caller)
        began = thread_time()
        try:
            return from_http(body, encoding, cap)
        finally:
            # Of a packed one nobody knows any more how large it was.
            self._desk.charge(caller.claimed, cap if encoding else len(body), thread_time() - began)

    async def _answer(self, talk: Talk, report: Report, ticket: Ticket) -> Reply:
        """Take one message, and return what it is answered with. Raises NotAdmittedError."""
        began, before = perf_counter(), talk.session
        turn = self._desk.exchange.hear(talk, report)
        ticket.fruitful = True
        self._keep(talk, turn)
        reply = await self._order(talk, turn)
        self._desk.log.heard("http", before, report, replace(turn, reply=reply), began)
        return reply

    def _expect_again(self, talk: Talk, state: Mapping[str, Any], body: bytes, reply: Reply) -> None:
        """Have the connection know the next heartbeat by its bytes (`transport.quick`)."""
        session, link = talk.session, state[LINK]() if LINK in state else None
        if session is None or link is None or not reply.bare:
            return
        poller = self._pollers.get(AgentId(session.view.uid))
        if poller is not None and poller.talk is talk:
            answer, _ = for_http(reply, self._desk.terms, reads_gzip=False)
            link.expect_again(body, answer, poller.take_beat)

    def _is_of_another(self, talk: Talk, report: Report) -> bool:
        """Whether a gateway speaks for another agent than itself."""
        session = talk.session
        own = session is None or session.view.uid == report.uid
        return not own and self._desk.exchange.identities.is_gateway(talk.caller)

    async def _behind(self, gateway: Caller, report: Report, ticket: Ticket) -> Reply:
        """Answer a message of an agent behind a gateway; an error is its agent's, not the gateway's."""
        exchange, agent = self._desk.exchange, AgentId(report.uid)
        try:
            if exchange.identities.may_bring(gateway, agent):
                await self._brought(gateway, agent)
            talk = self._kept(exchange.open_behind(gateway, agent))
            self._desk.use(gateway)
            return await self._answer(talk, report, ticket)
        except NotAdmittedError as exc:
            self._desk.log.refused("http", agent, exc)
            self._desk.note_refusal(gateway, report.uid, exc)
            return Reply(report.uid, refusal_of(exc))
        except (BusyError, TimeoutError) as exc:
            return Reply(report.uid, refusal_of(exc))

    async def _brought(self, gateway: Caller, agent: AgentId) -> None:
        """Have an unknown agent admitted at first sight. Raises what speaks against it."""
        arrived: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._desk.order(gateway, agent.uuid, Bring(), _into(arrived))
        outcome = await asyncio.wait_for(arrived, CERTIFY_SECONDS)
        if isinstance(outcome, Exception):
            raise outcome

    def _require_room(self, ticket: Ticket, caller: Caller) -> None:
        """Turn a newcomer away at a bad time; whoever was served on this connection goes on being served."""
        if caller.credential is None or not ticket.fruitful:
            self._desk.load.let_in(ticket.origin, caller.enrolls_by)

    def _kept(self, fresh: Talk) -> Talk:
        """Return the agent's conversation as it is kept, or the fresh one."""
        if fresh.session is None:
            return fresh
        kept = self._pollers.get(AgentId(fresh.session.view.uid))
        if kept is None or kept.talk.caller.serial != fresh.caller.serial:
            return fresh
        if kept.credential != fresh.caller.credential or kept.talk.holder != fresh.holder:
            return fresh
        return kept.talk

    def _keep(self, talk: Talk, turn: Turn) -> None:
        """Keep the conversation under its agent; one over an earlier certificate gives way to it."""
        if talk.caller.credential is None:
            return
        agent = AgentId(turn.session.view.uid)
        kept = self._pollers.get(agent)
        if kept is not None and kept.talk is not talk:
            self._desk.hub.leave(kept)
            kept.talk.close_short_way()
            kept = None
        if kept is None:
            kept = self._pollers[agent] = Poller(self._desk, talk, agent, self._forget)
            self._desk.hub.join(kept)
        kept.heard_at = asyncio.get_running_loop().time()
        if not turn.session.view.connected:
            kept.end()

    def _forget(self, agent: AgentId) -> None:
        self._pollers.pop(agent, None)

    async def _order(self, talk: Talk, turn: Turn) -> Reply:
        """Have the effects carried out; what the agent waits for is waited for."""
        uid, reply = turn.session.view.uid, turn.reply
        told_as = reply.uid or uid
        for effect in turn.effects:
            if not isinstance(effect, (Certify, Promote, Equip)):
                self._order_aside(talk, uid, effect)
                continue
            arrived: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            try:
                self._desk.order(talk.caller, uid, effect, _into(arrived), talk.holder)
            except BusyError as exc:
                return Reply(told_as, refusal_of(exc))
            try:
                outcome = await asyncio.wait_for(arrived, CERTIFY_SECONDS)
            except TimeoutError as exc:
                outcome = exc
            if isinstance(effect, Equip):
                told = self._absorb(talk, effect, outcome)
                reply = reply if told is None else replace(reply, connections=told.connections)
            elif isinstance(outcome, Exception) or isinstance(effect, Certify):
                renamed = self._desk.exchange.rename(talk) if isinstance(outcome, TakenError) else None
                answer = renamed or reply_of(talk, turn.session, outcome)
                settings = reply.connections or answer.connections
                reply = (
                    answer
                    if answer.refusal or renamed
                    else replace(reply, credential=answer.credential, connections=settings)
                )
        return reply

    def _order_aside(self, talk: Talk, uid: UUID, effect: Effect) -> None:
        """Have an effect carried out that the answer does not wait for."""

        def then(outcome: Outcome) -> None:
            self._absorb(talk, effect, outcome)

        try:
            self._desk.order(talk.caller, uid, effect, then, talk.holder)
        except BusyError as exc:
            then(exc)

    def _absorb(self, talk: Talk, effect: Effect, outcome: Outcome) -> Reply | None:
        """Take what an order came to; the conversation may have ended meanwhile."""
        kept = None if talk.state is None else self._pollers.get(AgentId(talk.state.view.uid))
        here = kept is not None and kept.talk is talk
        return self._desk.exchange.aftermath.absorb(talk, effect, outcome, here=here)

    def _response(self, request: Request, reply: Reply) -> Response:
        reads_gzip = "gzip" in request.headers.get("accept-encoding", "").lower()
        body, packed = for_http(reply, self._desk.terms, reads_gzip=reads_gzip)
        headers = {"Content-Encoding": "gzip"} if packed else None
        return Response(body, media_type=wire.CONTENT_TYPE, headers=headers)


async def _read(request: Request, max_bytes: int) -> bytes:
    """Read the body, never more than the cap. Raises OversizedError, TimeoutError, MalformedError."""
    if (length := request.headers.get("content-length", "")).isdigit():
        wire.require_size(int(length[:20]), max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                wire.require_size(len(body), max_bytes)
    except ClientDisconnect as exc:
        raise MalformedError(f"request ended after {len(body)} bytes of its body") from exc
    return bytes(body)


def _into(arrived: "asyncio.Future[Outcome]") -> Then:
    def then(outcome: Outcome) -> None:
        if not arrived.done():
            arrived.set_result(outcome)

    return then


def _refused(error: Exception) -> Response:
    answer = answer_for(error)
    # What is left of the request's body is not waited for.
    headers = {**answer.headers, "Connection": "close"}
    return PlainTextResponse(f"{answer.text}\n", answer.status, headers=headers)
