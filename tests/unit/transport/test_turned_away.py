"""Newcomers at a bad time, over both transports: told when to come again, and nothing of theirs is read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from distribution.domain.buckets import Rate
from distribution.transport.load import Enrollments
from tests.fakes.listening import Listening, listening
from tests.fakes.wire_client import answer, http_client, post, said, tell, websocket

FEW = Enrollments(together=Rate(0.001, 3), per_address=Rate(0.001, 2))


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path, enrollments=FEW) as here:
        yield here


def test_too_many_enrollments(at: Listening) -> None:
    """Beyond the rate 429 with a pause, over HTTP and at the handshake; a known agent is not concerned."""
    token, known = at.work.token("t", uses=10), at.enrolled()
    with http_client(at) as pool:
        for _ in range(2):
            assert post(pool, said(at.new_agent()), token=token).status == 200
        refused = post(pool, said(at.new_agent()), token=token)
    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) > 0
    with pytest.raises(InvalidStatus) as caught, websocket(at, token=token):
        pass
    assert caught.value.response.status_code == 429
    assert int(caught.value.response.headers["Retry-After"]) > 0
    with websocket(at, known) as connection:
        assert tell(connection, said(known.agent)).capabilities


def test_an_overloaded_server(at: Listening) -> None:
    """Newcomers get 503 with a pause; whoever is connected is served, over HTTP and WebSocket."""
    known, other = at.enrolled(), at.enrolled()
    with websocket(at, known) as connection, http_client(at, other) as pool:
        tell(connection, said(known.agent))
        assert answer(post(pool, said(other.agent))).capabilities
        at.load.late = 3600.0
        assert tell(connection, said(known.agent, 1)).instance_uid == known.agent.raw
        assert post(pool, said(other.agent, 1)).status == 200
        with http_client(at, other) as fresh:
            refused = post(fresh, said(other.agent, 2))
        with pytest.raises(InvalidStatus) as caught, websocket(at, other):
            pass
    assert (refused.status, caught.value.response.status_code) == (503, 503)
    assert 5 <= int(refused.headers["Retry-After"]) <= 30
    assert 5 <= int(caught.value.response.headers["Retry-After"]) <= 30
    assert "overloaded" in refused.data.decode()
