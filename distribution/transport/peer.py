"""The client certificate of a connection, from TLS to the application.

uvicorn shows it to no application, so its HTTP protocol class is extended at the one point where the
transport is known: `connection_made` lays the peer into the connection's own copy of `app_state`. uvicorn
hands that to the WebSocket class at an upgrade and copies it into `scope["state"]` of every request. This
file is the only one that leans on it.

A connection with a certificate is on the hub's list from its first byte, so that a cut reaches it while it is
idle between two requests. One that does not send the head of a request in time is closed, and so is the
stranger that has been here for longest where there are too many: whoever holds their places keeps no other
out, who needs one for as long as it takes to say who he is.
"""

import asyncio
import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from uvicorn import Config
from uvicorn.server import ServerState

from distribution.flows.enrol import Caller
from distribution.transport.heads import BoundedHttpProtocol
from distribution.transport.hub import Hub
from distribution.transport.quick import QuickPoll, head_of
from distribution.transport.upgrade import accepting
from keys.certificate import CredentialId, Serial
from keys.errors import RefusedError
from keys.identity import AgentId, agent_of_uri

SEALED: Final = "sealed"
"""Key of whether the connection is TLS, in the same places as `PEER`."""

PEER: Final = "peer"
"""Key of the caller in `app_state` and in `scope["state"]`."""

STRANGER_SECONDS: Final = 120.0
"""How long a connection without a certificate may last, whatever it does; one that enrolls needs seconds."""

STRANGERS_MAX: Final = 2000
"""Connections without a certificate at the same time; they are enrolling, or up to no good."""

LINK: Final = "link"
"""Key of a weak reference to the connection's own link, in the same places."""

ENROLLMENT_SCHEME: Final = "enrollment"
"""Scheme of the `Authorization` header that presents an enrollment token."""

BEARER_SCHEME: Final = "bearer"
"""Scheme of the one that presents an agent's bearer token (RFC 6750 2.1; its other two ways are refused)."""

_TOKEN_MAX_CHARS: Final = 256

logger = logging.getLogger(__name__)


def caller_of(state: Mapping[str, Any], authorization: Sequence[str]) -> Caller:
    """Return what the peer presented: its certificate, else the token of its one `Authorization` header.

    Two such headers are none. A token counts over TLS alone, and nowhere else in a request: addresses are
    written into logs on the way.
    """
    caller: Caller = state[PEER]
    if caller.serial is not None or len(authorization) != 1 or not state.get(SEALED):
        return caller
    scheme, _, token = authorization[0].strip().partition(" ")
    if not 0 < len(token) <= _TOKEN_MAX_CHARS:
        return caller
    if scheme.lower() == BEARER_SCHEME:
        return Caller(presented=token.strip(), remote=caller.remote)
    if scheme.lower() == ENROLLMENT_SCHEME:
        return Caller(token=token.strip(), remote=caller.remote)
    return caller


def settle(state: Mapping[str, Any], caller: Caller) -> None:
    """Have the connection's own link cut with the token that was proven on it."""
    reference = state.get(LINK)
    link = None if reference is None or caller.bearer is None else reference()
    if link is not None and link.credential != caller.bearer:
        link.become(caller.bearer, caller.claimed)


def caller_of_transport(transport: asyncio.BaseTransport, trust_domain: str) -> Caller:
    """Return the caller of a connection, as TLS verified it; a certificate of no agent counts as none."""
    peername = transport.get_extra_info("peername")
    remote = f"{peername[0]}:{peername[1]}" if isinstance(peername, tuple) else "unknown"
    tls = transport.get_extra_info("ssl_object")
    # OpenSSL has read it for the handshake already: to ask it costs a fifth of reading it again.
    shown = tls.getpeercert() if tls is not None else None
    if not shown:
        return Caller(remote=remote)
    try:
        claimed = _agent_of(shown.get("subjectAltName", ()), trust_domain)
        return Caller(serial=Serial.parse(shown["serialNumber"]), claimed=claimed, remote=remote)
    except RefusedError as exc:
        logger.warning("certificate names no agent", extra={"remote": remote, "reason": str(exc)})
        return Caller(remote=remote)


def _agent_of(names: tuple[tuple[str, str], ...], trust_domain: str) -> AgentId:
    """Return the agent that the one name is, which is a URI. Raises RefusedError."""
    if len(names) != 1 or names[0][0] != "URI":
        raise RefusedError(f"subject alternative name holds {len(names)} names, expected exactly one URI")
    return agent_of_uri(names[0][1], trust_domain)


class PeerHttpProtocol(BoundedHttpProtocol):
    """uvicorn's HTTP protocol, with the peer's certificate in its state; a link that the hub can cut."""

    via: CredentialId | None = None
    any_request_counts = False
    """Only a message that was taken does (`transport.polling`)."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        hub: Hub,
        trust_domain: str,
        path: str,
    ) -> None:
        """`path` is where agents upgrade to a WebSocket."""
        super().__init__(config, server_state, app_state, _loop)
        self._hub = hub
        self._path = path
        self._first = True
        self._trust_domain = trust_domain
        self._since = 0.0
        self.credential: CredentialId | None = None
        self.agent: AgentId | None = None
        self.talks = False
        self._came = b""
        """What came last, if it may be a whole request."""
        self._quick: QuickPoll | None = None
        self._polled_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Learn who it is, before any byte of HTTP."""
        super().connection_made(transport)
        caller = caller_of_transport(transport, self._trust_domain)
        self.credential, self.agent = caller.serial, caller.claimed
        sealed = transport.get_extra_info("ssl_object") is not None
        self.app_state = {**self.app_state, PEER: caller, SEALED: sealed, LINK: weakref.ref(self)}
        self._hub.join(self)
        if self.credential is None and self._hub.bound_strangers(STRANGERS_MAX):
            logger.warning("too many strangers", extra={"remote": caller.remote, "most": STRANGERS_MAX})
            if transport.is_closing():
                return
        self._since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Answer a poll or an ordinary upgrade, known by its bytes; leave everything else to the parser."""
        if self._first:
            self._first = False
            accepted = accepting(data, self._path)
            if accepted is not None:
                self._hand_over(data, accepted)
                return
        quick, at_border = self._quick, self.at_border
        body = quick.beat_in(data) if quick is not None and at_border else None
        if quick is not None and body is not None and quick.take(body):
            self._polled_at = self.loop.time()
            self.transport.write(quick.answer(self.server_state.default_headers))
            return
        self._came = data if at_border else b""
        super().data_received(data)

    def expect_again(self, body: bytes, answer: bytes, take: Callable[[bytes], bool]) -> None:
        """Expect the request again that is being answered: `body` it had, `answer` is that of a heartbeat."""
        came, self._came = self._came, b""
        head = head_of(came, body)
        lasts = self.scope["http_version"] == "1.1" and self.cycle.keep_alive
        self._quick = None if head is None or not lasts else QuickPoll(head, answer, take)

    def begin_end(self) -> None:
        """The server stops: each answer is given in full, so that it can say that it is the last."""
        self._quick = None
        super().begin_end()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; what was answered quickly moved no timer."""
        left = self._polled_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def become(self, credential: CredentialId, agent: AgentId | None) -> None:
        """From now on it is cut with this credential, and no stranger's any more."""
        self._hub.leave(self)
        self.credential, self.agent = credential, agent
        self._hub.join(self)

    def _hand_over(self, data: bytes, accepted: bytes) -> None:
        """Do what the parser's end and uvicorn's upgrade do, for a fleet that comes back at once."""
        self._forget_deadline()
        self._hub.leave(self)
        self.connections.discard(self)
        make: Any = self.ws_protocol_class
        agent = make(config=self.config, server_state=self.server_state, app_state=self.app_state)
        agent.connection_made(self.transport)
        agent.enter(data, accepted)
        self.transport.set_protocol(agent)
        self.parser = None  # type: ignore[assignment] # as below

    def handle_websocket_upgrade(self) -> None:
        """From here on the connection is the WebSocket class's, which joins the hub for itself."""
        self._hub.leave(self)
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment] # as uvicorn does at the end; it refers to this back

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._hub.leave(self)
        self._quick = None
        super().connection_lost(exc)

    def cut(self, reason: str) -> int:
        """Close at once, in the middle of a request too; an HTTP client learns the reason when it returns."""
        del reason
        self.transport.abort()
        return 1

    def wake(self) -> None:
        """Over plain HTTP nothing can be pushed."""

    def check(self) -> None:
        """Each request is admitted for itself; but a stranger's place is not his for ever."""
        if self.credential is None and self.loop.time() - self._since > STRANGER_SECONDS:
            self.transport.abort()
