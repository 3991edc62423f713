"""An agent's WebSocket until it is open: who asks to upgrade is let in or refused (`transport.upgrade`)."""

import http
from collections.abc import Sequence
from typing import Any

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from distribution.errors import TurnedAwayError
from distribution.flows.talk import Talk
from distribution.transport.arrivals import TICKET, Ticket
from distribution.transport.desk import Desk
from distribution.transport.peer import caller_of
from distribution.transport.sender import Sender
from distribution.transport.upgrade import accepting, rejected, request_of
from keys.errors import NotAdmittedError


class Entering(Sender):
    """Answers the upgrade request."""

    def __init__(self, desk: Desk, app_state: dict[str, Any]) -> None:
        super().__init__(desk)
        self._app_state = app_state
        self.agent = None
        self._ticket = app_state.get(TICKET) or Ticket("")
        self._talk: Talk | None = None

    def data_received(self, data: bytes) -> None:
        """Answer the upgrade request; uvicorn calls this once, before the loop knows this class."""
        self.enter(data, accepting(data, self._desk.path))

    def enter(self, data: bytes, accepted: bytes | None) -> None:
        """Answer the upgrade request, with `accepted` if the peer may enter; None: the library is to say."""
        try:
            if accepted is not None:
                self._begin(self._enter(()))
                self._transport.write(accepted)
        except (NotAdmittedError, TurnedAwayError) as exc:
            self._leave_to_library(data, exc)
        else:
            if accepted is None:
                self._leave_to_library(data, None)
        if self._talk is None:
            self._deafen()
            return
        self._opened(self._talk)

    def _begin(self, talk: Talk) -> None:
        """The peer may enter."""
        raise NotImplementedError

    def _opened(self, talk: Talk) -> None:
        """It is told so."""
        raise NotImplementedError

    def _leave_to_library(self, data: bytes, error: Exception | None) -> None:
        """Have the library answer; `error` is why the peer may not enter, if that is known already."""
        library, request = request_of(data)
        if request is not None:
            library.send_response(
                self._answer(library, request) if error is None else rejected(library, error)
            )
        self._transport.writelines(library.data_to_send())

    def _answer(self, library: ServerProtocol, request: Request) -> Response:
        path = request.path.partition("?")[0]  # nothing in a query is a credential
        if path != self._desk.path:
            return library.reject(http.HTTPStatus.NOT_FOUND, f"no such path: {path}\n")
        try:
            talk = self._enter(request.headers.get_all("Authorization"))
        except (NotAdmittedError, TurnedAwayError) as exc:
            return rejected(library, exc)
        response = library.accept(request)
        if response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS:
            self._begin(talk)
        return response

    def _enter(self, authorization: Sequence[str]) -> Talk:
        """Return the conversation that begins. Raises NotAdmittedError, TurnedAwayError."""
        caller = caller_of(self._app_state, authorization)
        try:
            talk = self._desk.exchange.open(caller)
        except NotAdmittedError as exc:
            self._desk.log.refused("ws", caller.claimed, exc)
            self._desk.note_refusal(caller, None, exc)
            raise
        try:
            self._desk.require_rested(talk.caller.claimed)
            self._desk.load.let_in(self._ticket.origin, talk.caller.enrolls_by)
        except TurnedAwayError as exc:
            self._desk.turned_away("ws", self._ticket.origin, talk.caller, exc)
            raise
        return talk
