"""The handshake of a WebSocket, as bytes: the library reads the request and writes the answer."""

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from distribution.transport.errors import answer_for
from distribution.transport.frames import library_logger


def request_of(data: bytes) -> tuple[ServerProtocol, Request | None]:
    """Return the library's side of a handshake, and the request in `data`, None if there is none."""
    library = ServerProtocol(logger=library_logger)
    library.receive_data(data)
    requests = [event for event in library.events_received() if isinstance(event, Request)]
    return library, requests[0] if requests else None


def rejected(library: ServerProtocol, error: Exception) -> Response:
    """Return the response that refuses an upgrade for this error."""
    answer = answer_for(error)
    response = library.reject(answer.status, f"{answer.text}\n")
    for name, value in answer.headers.items():
        response.headers[name] = value
    return response
