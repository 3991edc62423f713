"""Threat: who has no token keeps those who have one from enrolling, by coming often or asking much."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode

from distribution.domain.buckets import Rate
from distribution.protocol import wire
from distribution.transport.desk import REQUESTS_MAX
from distribution.transport.load import Enrollments
from keys.certificate import Issued
from keys.errors import RefusedError
from tests.fakes.authority import SECRET
from tests.fakes.certificates import csr, new_key
from tests.fakes.listening import Listening, listening
from tests.fakes.wire_client import answer, close_of, http_client, post, request_for, said, websocket

FEW = Enrollments(together=Rate(0.001, 3), per_address=Rate(0.001, 1000))
"""Three, of any number of addresses."""


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path, enrollments=FEW) as here:
        yield here


def enrolls(at: Listening, token: str) -> bool:
    """Whether an agent gets a certificate for this token."""
    who = at.new_agent()
    message = said(who, connection_settings_request=request_for(csr(new_key(), who)))
    with http_client(at) as pool:
        response = post(pool, message, token=token)
        return response.status == 200 and answer(response).HasField("connection_settings")


@pytest.mark.parametrize(
    "made_up", [f"nobody.{SECRET}", f"good.{'A' * 43}", "good", "."], ids=["id", "secret", "id alone", "dot"]
)
def test_made_up_enrollment_tokens(at: Listening, made_up: str) -> None:
    """They have a count of their own; when that is used up they wait, and a real one is taken at once."""
    good = at.work.token("good")
    with http_client(at) as pool:
        statuses = [post(pool, said(at.new_agent()), token=made_up).status for _ in range(3)]
    with pytest.raises(InvalidStatus) as caught, websocket(at, token=made_up):
        pass
    assert (statuses, caught.value.response.status_code) == ([200, 200, 200], 429)
    assert enrolls(at, good)


def test_a_revoked_enrollment_token(at: Listening) -> None:
    """Whoever still has it stands with those who have none."""
    revoked, good = at.work.token("old"), at.work.token("good")
    at.work.known_tokens.forget("old")
    with http_client(at) as pool:
        for _ in range(3):
            post(pool, said(at.new_agent()), token=revoked)
        assert post(pool, said(at.new_agent()), token=revoked).status == 429
    assert enrolls(at, good)


def test_made_up_bearer_tokens(at: Listening) -> None:
    """They are judged before anything is counted: each is refused, and costs those who enroll nothing."""
    good = at.work.token("good")
    for number in range(10):
        with http_client(at) as pool:
            assert post(pool, said(at.new_agent()), bearer=f"nobody.{number:043d}").status == 401
        with pytest.raises(InvalidStatus) as caught, websocket(at, bearer="nobody"):
            pass
        assert caught.value.response.status_code == 401
    assert enrolls(at, good)


def test_one_connection_with_more_requests_than_a_few(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few wait for the authority, the next one ends the connection: they take nobody's place."""
    asked, may_go_on = [], threading.Event()

    def enroll(*asking: Any) -> Issued:
        asked.append(asking)
        may_go_on.wait(30)
        raise RefusedError("enrollment token is not one of ours")

    monkeypatch.setattr(at.work.authority, "enroll", enroll)
    who, key = at.new_agent(), new_key()
    try:
        with websocket(at, token=f"nobody.{SECRET}") as connection:
            asking = request_for(csr(key, who))
            for number in range(REQUESTS_MAX + 1):
                connection.send(wire.encode_ws(said(who, number, connection_settings_request=asking)))
            assert close_of(connection)[0] == CloseCode.TRY_AGAIN_LATER
    finally:
        may_go_on.set()
    assert len(asked) <= REQUESTS_MAX
