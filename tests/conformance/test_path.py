"""Where OpAMP is spoken: on the path of the settings, over both transports, and on no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2
from websockets.exceptions import InvalidStatus

from distribution.protocol import wire
from tests.fakes.listening import PATH, Listening, listening
from tests.fakes.wire_client import answer, description, http_client, said, tell, websocket

OTHER = "/api/v1/opamp"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Listening]:
    """A listener whose path is not the usual one."""
    with listening(tmp_path, path=OTHER) as here:
        yield here


def test_the_path_is_a_setting(elsewhere: Listening) -> None:
    """A message is taken there over WebSocket and over HTTP, and the usual path is not found."""
    who = elsewhere.enrolled()
    message = said(who.agent, agent_description=description())
    with websocket(elsewhere, who, path=OTHER) as connection:
        assert tell(connection, message).capabilities & opamp_pb2.ServerCapabilities_AcceptsStatus
    with pytest.raises(InvalidStatus) as refused, websocket(elsewhere, who, path=PATH):
        pass
    assert refused.value.response.status_code == 404
    with http_client(elsewhere, who) as pool:
        body, headers = wire.encode_http(message, compress=False), {"Content-Type": wire.CONTENT_TYPE}
        heard = pool.request("POST", OTHER, body=body, headers=headers)
        assert (heard.status, answer(heard).instance_uid) == (200, who.agent.raw)
        assert pool.request("POST", PATH, body=body, headers=headers).status == 404
