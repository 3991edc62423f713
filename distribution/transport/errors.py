"""The one table from our errors to what a peer is told: HTTP status, OpAMP error kind, public words.

Rules: the nearest class of an error decides. What is the peer's or the caller's fault is said in the error's
own words; what is ours is said in the table's words, and the error itself goes to the log. An error that
nobody declared is ours: 500.
"""

import http
from collections.abc import Mapping
from dataclasses import dataclass

from distribution import errors
from distribution.domain.terms import Fault
from keys import errors as keys_errors
from storage import errors as storage_errors

RETRY_SECONDS = 30
"""How long a peer is asked to wait where a substrate does not answer (OpAMP "Throttling": at least 30)."""

_INTERNAL = "internal error"
_UNAVAILABLE = "temporarily unavailable"
_BUSY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer is told about one error.

    `text` is public. `retry_after` is in seconds, None where coming again would not help. `challenge` is
    the scheme by which a peer that is refused for want of a credential may present one.
    """

    status: http.HTTPStatus
    fault: Fault
    text: str
    retry_after: int | None = None
    challenge: str = "Enrollment"
    turned_away: bool = False
    """Nothing went wrong: the server protects itself, and counts whom it turns away."""

    @property
    def ours(self) -> bool:
        """Whether it is on this side, so that the error belongs into the log."""
        return self.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR and not self.turned_away

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers that go with the status."""
        found = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == http.HTTPStatus.UNAUTHORIZED:
            found["WWW-Authenticate"] = self.challenge  # RFC 9110 11.6.1
        return found


_STATUS: Mapping[type[BaseException], http.HTTPStatus] = {
    # The peer: an agent.
    errors.PeerError: http.HTTPStatus.BAD_REQUEST,
    errors.OversizedError: http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    keys_errors.RefusedError: http.HTTPStatus.FORBIDDEN,
    keys_errors.TokenRefusedError: http.HTTPStatus.UNAUTHORIZED,
    keys_errors.NotAdmittedError: http.HTTPStatus.UNAUTHORIZED,
    # The caller: an operator or a pipeline.
    errors.CallerError: http.HTTPStatus.BAD_REQUEST,
    errors.UnauthenticatedError: http.HTTPStatus.UNAUTHORIZED,
    errors.UnknownError: http.HTTPStatus.NOT_FOUND,
    errors.ConflictError: http.HTTPStatus.CONFLICT,
    errors.BusyError: http.HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ForbiddenError: http.HTTPStatus.FORBIDDEN,
    errors.UnverifiedError: http.HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PolicyError: http.HTTPStatus.UNPROCESSABLE_ENTITY,
    keys_errors.RoleMisuseError: http.HTTPStatus.UNPROCESSABLE_ENTITY,
    keys_errors.TrustError: http.HTTPStatus.UNPROCESSABLE_ENTITY,
    storage_errors.NotFoundError: http.HTTPStatus.NOT_FOUND,
    storage_errors.AlreadyExistsError: http.HTTPStatus.CONFLICT,
    storage_errors.PreconditionError: http.HTTPStatus.CONFLICT,
    storage_errors.TooLargeError: http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    # Whoever comes too often, or at a bad time.
    errors.TooOftenError: http.HTTPStatus.TOO_MANY_REQUESTS,
    errors.OverloadedError: http.HTTPStatus.SERVICE_UNAVAILABLE,
    # We ourselves.
    errors.DistributionError: http.HTTPStatus.INTERNAL_SERVER_ERROR,
    keys_errors.KeysError: http.HTTPStatus.INTERNAL_SERVER_ERROR,
    storage_errors.StorageError: http.HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.UnreachableError: http.HTTPStatus.SERVICE_UNAVAILABLE,
    storage_errors.UnavailableError: http.HTTPStatus.SERVICE_UNAVAILABLE,
    TimeoutError: http.HTTPStatus.SERVICE_UNAVAILABLE,
}


def answer_for(error: BaseException) -> Answer:
    """Return what the peer is told about `error`; the caller MUST log the error where `ours` is set."""
    for kind in type(error).__mro__:
        status = _STATUS.get(kind)
        if status is not None:
            return _answer(status, error)
    return _answer(http.HTTPStatus.INTERNAL_SERVER_ERROR, error)


def _answer(status: http.HTTPStatus, error: BaseException) -> Answer:
    if isinstance(error, errors.TurnedAwayError):
        return Answer(status, Fault.UNAVAILABLE, str(error), error.retry_after, turned_away=True)
    if status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        challenge = "Bearer" if isinstance(error, errors.CallerError) else "Enrollment"
        return Answer(status, Fault.BAD_REQUEST, str(error), challenge=challenge)
    if isinstance(error, errors.BusyError):
        return Answer(status, Fault.UNAVAILABLE, str(error), _BUSY_SECONDS)
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        return Answer(status, Fault.UNAVAILABLE, _UNAVAILABLE, RETRY_SECONDS)
    return Answer(status, Fault.UNKNOWN, _INTERNAL)
