"""A stolen server sends messages that are small enough for the wire and too large for a host."""

from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2
from websockets.asyncio.server import ServerConnection

from distribution.agent.link import address
from distribution.agent.polling import PollingLink
from distribution.errors import OversizedError, UnreachableError
from distribution.protocol.wire import SERVER_MESSAGE_MAX_BYTES, encode_http
from tests.fakes.certificates import agent
from tests.fakes.https_server import https_server
from tests.unit.agent.test_websocket import exchange

HUGE = opamp_pb2.ServerToAgent(instance_uid=bytes(SERVER_MESSAGE_MAX_BYTES))


def test_a_huge_frame(tmp_path: Path) -> None:
    """The connection ends before the frame is read."""

    async def drown(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(b"\x00" + HUGE.SerializeToString())
        await socket.wait_closed()

    with pytest.raises(UnreachableError):
        exchange(tmp_path, drown)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_huge_reply(tmp_path: Path, encoding: str) -> None:
    """So is a reply over plain HTTP, packed or not."""
    with https_server(tmp_path) as server:
        server.answer = lambda _: (200, encode_http(HUGE, compress=encoding == "gzip"))
        server.headers = {"Content-Encoding": encoding}
        link = PollingLink(address(server.trust.agents_url, server.trust.ca_pem, None, {}), agent())
        with pytest.raises(OversizedError, match="larger than the limit of 4194304 bytes"):
            link._post(opamp_pb2.AgentToServer())
        link._pool.clear()
