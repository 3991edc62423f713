"""What a peer is told about an error."""

import http
import inspect

import pytest

from distribution import errors
from distribution.domain.terms import Fault
from distribution.transport.errors import RETRY_SECONDS, answer_for
from keys import errors as keys_errors
from storage import errors as storage_errors


class _FresherError(errors.ConflictError):
    """A class the table does not name."""


@pytest.mark.parametrize(
    ("error", "status", "fault"),
    [
        (errors.MalformedError("x"), 400, Fault.BAD_REQUEST),
        (errors.OversizedError("x"), 413, Fault.BAD_REQUEST),
        (errors.InvalidError("x"), 400, Fault.BAD_REQUEST),
        (errors.UnknownError("x"), 404, Fault.BAD_REQUEST),
        (errors.ForbiddenError("x"), 403, Fault.BAD_REQUEST),
        (errors.UnverifiedError("x"), 422, Fault.BAD_REQUEST),
        (keys_errors.NotAdmittedError("x"), 401, Fault.BAD_REQUEST),
        (keys_errors.TokenRefusedError("x"), 401, Fault.BAD_REQUEST),
        (keys_errors.RefusedError("x"), 403, Fault.BAD_REQUEST),
        (storage_errors.TooLargeError("x"), 413, Fault.BAD_REQUEST),
        (_FresherError("x"), 409, Fault.BAD_REQUEST),
        (keys_errors.LintError("x"), 500, Fault.UNKNOWN),
        (storage_errors.JournalBrokenError("x"), 500, Fault.UNKNOWN),
        (storage_errors.UnavailableError("x"), 503, Fault.UNAVAILABLE),
        (TimeoutError(), 503, Fault.UNAVAILABLE),
        (ValueError("x"), 500, Fault.UNKNOWN),
    ],
)
def test_nearest_class_decides(error: Exception, status: int, fault: Fault) -> None:
    """The nearest declared class gives the status; nobody's error is ours."""
    answer = answer_for(error)
    assert (answer.status, answer.fault) == (status, fault)


def test_peers_fault_is_said_in_its_own_words() -> None:
    """A refusal names the object and both values, and the peer may read it."""
    answer = answer_for(keys_errors.RefusedError("curve is secp384r1, expected secp256r1"))
    assert (answer.text, answer.ours) == ("curve is secp384r1, expected secp256r1", False)


@pytest.mark.parametrize("error", [storage_errors.UnavailableError("/srv/secret"), OSError("/srv/secret")])
def test_our_own_fault_is_not_told(error: Exception) -> None:
    """What went wrong on this side goes to the log, not to the peer."""
    answer = answer_for(error)
    assert answer.ours
    assert "secret" not in answer.text


def test_busy_says_so() -> None:
    """Too much at once is no secret: the caller reads what there is too much of, and comes again soon."""
    answer = answer_for(errors.BusyError("4 uploads are running, at most 4 run at once"))
    assert (answer.status, answer.text, answer.retry_after) == (
        503,
        "4 uploads are running, at most 4 run at once",
        5,
    )


def test_headers_go_with_the_status() -> None:
    """503 says when to come again, 401 says how to authenticate."""
    assert answer_for(storage_errors.UnavailableError("x")).headers == {"Retry-After": str(RETRY_SECONDS)}
    assert answer_for(keys_errors.NotAdmittedError("x")).headers == {"WWW-Authenticate": "Enrollment"}
    assert answer_for(errors.UnauthenticatedError("x")).headers == {"WWW-Authenticate": "Bearer"}
    assert answer_for(errors.UnknownError("x")).headers == {}


@pytest.mark.parametrize("module", [errors, keys_errors, storage_errors])
def test_every_declared_error_has_an_answer(module: object) -> None:
    """No error class of ours falls through the table by accident."""
    for name, kind in inspect.getmembers(module, inspect.isclass):
        if issubclass(kind, Exception):
            status = answer_for(kind("x")).status
            assert status in http.HTTPStatus, name
