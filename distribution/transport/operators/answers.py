"""What the operators' API answers: JSON, and for every error `{"error": {"code", "message"}}`.

The table from error to status is `transport.errors`; what only operators meet is added here: a missing or
refused token, an upload beyond what the server takes at once, a journal that is broken.
"""

import http
import logging
import re
from collections.abc import Mapping
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from distribution.errors import BusyError, UnauthenticatedError
from distribution.transport.errors import RETRY_SECONDS, answer_for
from keys.errors import RefusedError, UnknownError
from storage.errors import JournalBrokenError, UnavailableError
from storage.journal import JSON

logger = logging.getLogger(__name__)

_NO_STORE = {"Cache-Control": "no-store"}
_OWN: Mapping[type[Exception], tuple[http.HTTPStatus, Mapping[str, str]]] = {
    UnauthenticatedError: (http.HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"}),  # RFC 9110 11.6.1
    BusyError: (http.HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(RETRY_SECONDS)}),
    JournalBrokenError: (http.HTTPStatus.CONFLICT, {}),
    # What an operator names and is not there; the first line that fits an error counts.
    UnknownError: (http.HTTPStatus.NOT_FOUND, {}),
    # To an agent these say that it is not let in; an operator asked for something that cannot be.
    RefusedError: (http.HTTPStatus.UNPROCESSABLE_ENTITY, {}),
}


def answer(document: Mapping[str, JSON], status: http.HTTPStatus = http.HTTPStatus.OK) -> Response:
    """Render a document; nothing of this API is to be cached."""
    return JSONResponse(dict(document), status_code=status, headers=_NO_STORE)


def refusal(error: Exception) -> Response:
    """Render an error; what is our own fault goes to the log in full and is told in few words."""
    code = _code(type(error))
    for kind, (status, headers) in _OWN.items():
        if isinstance(error, kind):
            return _render(status, code, str(error), headers)
    told = answer_for(error)
    if not told.ours:
        return _render(told.status, code, told.text, _without_challenge(told.headers))
    if isinstance(error, UnavailableError):  # one line for each; why, is told once by whoever found it
        logger.warning("operators' request cannot be served now", extra={"reason": str(error)})
    else:
        logger.error("operators' request failed", exc_info=error)
    return _render(told.status, "unavailable" if told.retry_after else "internal", told.text, told.headers)


async def on_http_error(_request: Request, error: Exception) -> Response:
    """Render what the router itself refuses: an unknown path, a wrong method."""
    if not isinstance(error, HTTPException):
        return refusal(error)
    status = http.HTTPStatus(error.status_code)
    return _render(
        status, status.phrase.lower().replace(" ", "_"), status.phrase.lower(), error.headers or {}
    )


def _render(status: http.HTTPStatus, code: str, message: str, headers: Mapping[str, str]) -> Response:
    document = {"error": {"code": code, "message": message}}
    return JSONResponse(document, status_code=status, headers={**_NO_STORE, **headers})


def _code(kind: type[Exception]) -> str:
    """Return the error's class as a word of the API: `TokenRefusedError` is `token_refused`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).lower()


def _without_challenge(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "WWW-Authenticate"}


def moment(at: datetime | None) -> str | None:
    """Return a moment as the API writes it: RFC 3339, UTC, whole seconds."""
    return None if at is None else f"{at:%FT%TZ}"
