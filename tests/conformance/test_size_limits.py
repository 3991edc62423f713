"""What OpAMP says of the size of messages, at a listener whose limit is the recommended 64 MiB."""

import gzip
import ssl
from collections.abc import Iterator

import pytest
from opamp.v1 import opamp_pb2
from websockets.frames import CloseCode
from websockets.sync.client import connect

from distribution.protocol import wire
from tests.fakes.by_hand import all_of, bare, bare_websocket, close_code
from tests.fakes.frames import frame
from tests.fakes.listening import PATH, Identity, Listening, listening
from tests.fakes.wire_client import answer, description, heard, http_client, said, websocket

LIMIT = 64 << 20
PATIENCE_SECONDS = 60.0
"""For 64 MiB through TLS and back, on a machine that is far too busy."""

HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.CONTENT_TYPE}\r\n"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """A listener that takes as much as the protocol recommends."""
    with listening(tmp_path_factory.mktemp("listener"), max_bytes=LIMIT) as here:
        yield here


def of_size(identity: Identity, size: int) -> bytes:
    """Return a report that is so long, nearly all of it one object of the effective configuration."""
    health = opamp_pb2.ComponentHealth(healthy=True, status="large")
    message = said(identity.agent, 0, agent_description=description(), health=health)
    body = message.effective_config.config_map.config_map[""]
    body.body = bytes(size - 1024)
    body.body = bytes(2 * size - 1024 - message.ByteSize())
    encoded = message.SerializeToString()
    assert len(encoded) == size
    return encoded


def require_understood(at: Listening, identity: Identity) -> None:
    """What the message says beside its mass is known."""
    view = at.registry.find(identity.agent)
    assert view.platform == "linux-amd64"
    assert view.health is not None
    assert view.health.status == "large"


def post(at: Listening, identity: Identity, body: bytes, **headers: str) -> int:
    """Send a body; return the status of the answer."""
    with http_client(at, identity) as pool:
        sent = {"Content-Type": wire.CONTENT_TYPE, **headers}
        told = pool.request("POST", PATH, body=body, headers=sent, timeout=PATIENCE_SECONDS)
        if told.status == 200:
            assert answer(told).instance_uid == identity.agent.raw
        return told.status


def test_a_frame_of_64_mib_is_understood(at: Listening) -> None:
    """The limit counts what is in the frame, the header byte too; the connection goes on."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        for sent in (b"\x00" + of_size(identity, LIMIT - 1), wire.encode_ws(said(identity.agent, 1))):
            connection.send(sent)
            payload = connection.recv(timeout=PATIENCE_SECONDS)
            assert isinstance(payload, bytes)
            told = wire.decode_ws(payload, opamp_pb2.ServerToAgent)
            assert (told.instance_uid, told.flags) == (identity.agent.raw, 0)
            assert not told.HasField("error_response")
    require_understood(at, identity)


@pytest.mark.parametrize("begun", [0, LIMIT - 1], ids=["in one frame", "in the last of two frames"])
def test_a_frame_of_a_byte_more_ends_the_connection_with_1009(at: Listening, begun: int) -> None:
    """Its header is enough: nothing of what it announces was sent."""
    identity = at.enrolled()
    with bare_websocket(at, identity) as tls:
        tls.settimeout(PATIENCE_SECONDS)
        if begun:
            tls.sendall(frame(bytes(begun), first=0x02))
        first = 0x80 if begun else 0x82
        tls.sendall(frame(first=first, length=LIMIT + 1 - begun)[:-4])
        assert close_code(all_of(tls)) == CloseCode.MESSAGE_TOO_BIG
    assert at.registry.view(identity.agent).health is None


def test_a_body_of_64_mib_is_understood(at: Listening) -> None:
    """As it is."""
    identity = at.enrolled()
    assert post(at, identity, of_size(identity, LIMIT)) == 200
    require_understood(at, identity)


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
def test_a_packed_body_counts_as_it_unpacks(at: Listening, size: int, status: int) -> None:
    """To 64 MiB it is understood, to a byte more it is refused, though neither is large on the way."""
    identity = at.enrolled()
    packed = gzip.compress(of_size(identity, size), 1)
    assert len(packed) < 1 << 20
    assert post(at, identity, packed, **{"Content-Encoding": "gzip"}) == status
    if status == 200:
        require_understood(at, identity)
    else:
        assert at.registry.view(identity.agent).health is None


def status_of(tls: ssl.SSLSocket, head: str) -> bytes:
    """Send the head of a request and nothing of its body; return the status of the answer."""
    tls.settimeout(PATIENCE_SECONDS)
    tls.sendall(head.encode())
    return tls.recv(65_536).split(b" ", 2)[1]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_body_of_a_byte_more_is_refused_with_413(at: Listening, encoding: str) -> None:
    """By its length: nothing of it was sent."""
    with bare(at, at.enrolled()) as tls:
        head = f"{HEAD}Content-Encoding: {encoding}\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
        assert status_of(tls, head) == b"413"


def test_a_body_of_no_length_is_counted_as_it_comes(at: Listening) -> None:
    """The answer is there with the first byte too many, and the body has not ended."""
    with bare(at, at.enrolled()) as tls:
        tls.settimeout(PATIENCE_SECONDS)
        tls.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        tls.sendall(b"%x\r\n" % LIMIT + bytes(LIMIT) + b"\r\n")
        assert status_of(tls, "2\r\nx") == b"413"


def test_no_extension_that_packs_is_agreed_to(at: Listening) -> None:
    """A client that offers to pack its frames sends them as they are: their size is the message's."""
    identity = at.enrolled()
    with connect(
        f"wss://{at.address}{PATH}", ssl=at.client_tls(identity), compression="deflate"
    ) as connection:
        request, response = connection.request, connection.response
        assert request is not None
        assert response is not None
        assert "permessage-deflate" in request.headers["Sec-WebSocket-Extensions"]
        assert "Sec-WebSocket-Extensions" not in response.headers
        assert connection.protocol.extensions == []
        connection.send(wire.encode_ws(said(identity.agent, agent_description=description())))
        assert heard(connection).instance_uid == identity.agent.raw
