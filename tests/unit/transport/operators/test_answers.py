"""Errors as the API tells them: a word, a message, and nothing of what is our own fault."""

import asyncio
import json
from http import HTTPStatus

import pytest
from starlette.requests import Request

from distribution import errors
from distribution.transport.operators.answers import answer, moment, on_http_error, refusal
from keys.errors import RefusedError, UnknownError
from storage.errors import JournalBrokenError, StorageError, UnavailableError


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidError("no"), 400, "invalid"),
        (errors.UnauthenticatedError("no"), 401, "unauthenticated"),
        (errors.ForbiddenError("no"), 403, "forbidden"),
        (errors.UnknownError("no"), 404, "unknown"),
        (errors.ConflictError("no"), 409, "conflict"),
        (JournalBrokenError("no"), 409, "journal_broken"),
        (errors.OversizedError("no"), 413, "oversized"),
        (errors.UnverifiedError("no"), 422, "unverified"),
        (RefusedError("no"), 422, "refused"),
        (UnknownError("no"), 404, "unknown"),
        (errors.BusyError("no"), 503, "busy"),
    ],
)
def test_what_the_caller_did_is_told(error: Exception, status: int, code: str) -> None:
    """The class is the code, the message is the error's own."""
    found = refusal(error)
    assert (found.status_code, json.loads(bytes(found.body))) == (
        status,
        {"error": {"code": code, "message": "no"}},
    )


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnavailableError("/srv/secret"), 503, "unavailable"),
        (StorageError("/srv/secret"), 500, "internal"),
        (ZeroDivisionError("/srv/secret"), 500, "internal"),
    ],
)
def test_what_is_our_fault_is_logged_and_not_told(
    error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The message is the table's, the detail is in the log."""
    found = refusal(error)
    assert (found.status_code, json.loads(bytes(found.body))["error"]["code"]) == (status, code)
    assert b"secret" not in found.body
    assert "secret" in str([vars(record) for record in caplog.records])


def test_only_a_missing_token_is_challenged() -> None:
    """Operators present bearer tokens; no other refusal asks for one."""
    assert refusal(errors.UnauthenticatedError("no")).headers["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in refusal(errors.ForbiddenError("no")).headers


def test_nothing_is_cached() -> None:
    """Answers and refusals alike."""
    assert answer({}).headers["cache-control"] == "no-store"
    assert refusal(errors.InvalidError("no")).headers["cache-control"] == "no-store"


def test_an_error_that_the_router_did_not_make_is_refused_as_any() -> None:
    """The handler answers whatever reaches it."""
    found = asyncio.run(on_http_error(Request({"type": "http"}), errors.UnknownError("no")))
    assert found.status_code == HTTPStatus.NOT_FOUND


def test_no_moment_is_none() -> None:
    """What did not happen has no time."""
    assert moment(None) is None
