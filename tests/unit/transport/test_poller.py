"""A conversation over plain HTTP outlives its requests, and ends."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from distribution.domain.liveness import Patience
from tests.fakes.listening import Listening, listening
from tests.fakes.wire_client import description, http_client, post, said


@pytest.fixture
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


def test_silence_ends_the_conversation(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that polls no more counts as disconnected after a while."""
    identity = at.enrolled()
    with http_client(at, identity) as pool:
        post(pool, said(identity.agent, agent_description=description()))
        at.check_now()
        assert at.registry.find(identity.agent).connected
        monkeypatch.setattr("distribution.transport.poller.SILENCE_SECONDS", -1.0)
        at.check_now()
        assert at.registry.find(identity.agent).connected, "it may be silent for three heartbeats"
        monkeypatch.setattr(at.registry, "_patience", Patience(timedelta(), 3, timedelta(days=1)))
        at.check_now()
        assert not at.registry.find(identity.agent).connected
