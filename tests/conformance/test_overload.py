"""What OpAMP asks of a server that cannot serve everybody ("Throttling"), at a real listener."""

import pytest
from websockets.exceptions import InvalidStatus

from distribution.errors import OverloadedError, TooOftenError, TurnedAwayError
from distribution.transport.load import Load
from tests.fakes.listening import Listening
from tests.fakes.wire_client import description, http_client, post, said, websocket

REASONS = {503: OverloadedError("too much to do", 41), 429: TooOftenError("too many enrollments", 41)}


def strained(error: TurnedAwayError, patch: pytest.MonkeyPatch) -> None:
    """Have the listener turn newcomers away for this reason."""

    def let_in(_self: Load, _origin: str, _token: str | None) -> None:
        raise error

    patch.setattr(Load, "let_in", let_in)


@pytest.mark.parametrize("status", REASONS)
def test_an_upgrade_that_cannot_be_taken_is_told_when_to_come_again(
    at: Listening, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """At the handshake, where clients heed it."""
    identity = at.enrolled()
    strained(REASONS[status], monkeypatch)
    with pytest.raises(InvalidStatus) as refused, websocket(at, identity):
        pass
    assert refused.value.response.status_code == status
    assert refused.value.response.headers["Retry-After"] == "41"


@pytest.mark.parametrize("status", REASONS)
def test_a_poll_that_cannot_be_taken_is_told_when_to_come_again(
    at: Listening, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """With a status after which clients send the same message again."""
    identity = at.enrolled()
    strained(REASONS[status], monkeypatch)
    with http_client(at, identity) as pool:
        answered = post(pool, said(identity.agent, agent_description=description()))
    assert (answered.status, answered.headers["Retry-After"]) == (status, "41")
