"""What known clients do where the specification leaves it to them, over both transports of a listener."""

from uuid import NAMESPACE_DNS, UUID, uuid1, uuid4, uuid5

import pytest
from opamp.v1 import opamp_pb2

from distribution.protocol import wire
from keys.identity import AgentId
from tests.fakes.listening import PATH, Listening
from tests.fakes.speaking import TRANSPORTS, speaking
from tests.fakes.wire_client import (
    WAIT_SECONDS,
    answer,
    description,
    http_client,
    said,
    websocket,
)

ULID = b"01ARZ3NDEKTSV4RRFFQ69G5FAV"
"""As text: 26 bytes, which clients of long ago put where 16 belong."""

UIDS = {
    "version 1, by time and host": uuid1,
    "version 4, random": uuid4,
    "version 5, of a name, as of a bridge that stands alone": lambda: uuid5(NAMESPACE_DNS, str(uuid4())),
    "a ULID as bytes, which is no version of a UUID": lambda: UUID(bytes=bytes(6) + uuid4().bytes[:10]),
}
LIES = {"of another agent": str(uuid4()), "no uid at all": "none; of=this", "empty": ""}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", UIDS)
def test_an_instance_uid_is_any_16_bytes(at: Listening, transport: str, kind: str) -> None:
    """Version and variant are not looked at; the answer has it byte by byte."""
    at.new_agent()
    identity = at.enrolled(AgentId(UIDS[kind]()))
    with speaking(at, transport, identity, introduce=False) as agent:
        heard_of = agent.says(agent_description=description())
    assert heard_of.instance_uid == identity.agent.raw
    assert at.registry.find(identity.agent).platform == "linux-amd64"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_uid_as_text_is_a_bad_request(at: Listening, transport: str) -> None:
    """It is said why, and the next message may have a proper one."""
    with speaking(at, transport) as agent:
        refused = agent.exchange(opamp_pb2.AgentToServer(instance_uid=ULID)).error_response
        assert refused.type == opamp_pb2.ServerErrorResponseType_BadRequest
        assert "26 bytes" in refused.error_message
        assert not agent.says().HasField("error_response")


@pytest.mark.parametrize("lie", LIES)
def test_the_header_with_a_uid_decides_nothing(at: Listening, lie: str) -> None:
    """Some clients send `OpAMP-Instance-UID` and some do not: whose a message is, the message says."""
    identity = at.enrolled()
    header = {"Content-Type": wire.CONTENT_TYPE, "OpAMP-Instance-UID": LIES[lie]}
    with http_client(at, identity) as pool:
        body = wire.encode_http(said(identity.agent, agent_description=description()), compress=False)
        found = pool.request("POST", PATH, body=body, headers=header)
    assert answer(found).instance_uid == identity.agent.raw
    assert at.registry.find(identity.agent).platform == "linux-amd64"


@pytest.mark.parametrize("whole", [True, False], ids=["with a length", "in chunks"])
def test_a_body_may_come_in_chunks(at: Listening, *, whole: bool) -> None:
    """One client's requests have no `Content-Length`; what they say is read all the same."""
    identity = at.enrolled()
    body = wire.encode_http(said(identity.agent, agent_description=description()), compress=False)
    sent = body if whole else iter([body[:7], body[7:]])
    with http_client(at, identity) as pool:
        found = pool.request("POST", PATH, body=sent, headers={"Content-Type": wire.CONTENT_TYPE})
    assert answer(found).instance_uid == identity.agent.raw
    assert at.registry.find(identity.agent).platform == "linux-amd64"


def test_what_one_process_said_is_not_asked_of_the_next(at: Listening) -> None:
    """Numbers begin anew with each process; its first message is full, so nothing is asked for."""
    identity = at.enrolled()
    for _ in range(2):
        with speaking(at, "ws", identity, introduce=False) as agent:
            assert agent.says(agent_description=description()).flags == 0
            assert agent.says().flags == 0


def test_every_message_of_ours_is_binary(at: Listening) -> None:
    """A text message makes one client connect anew."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        connection.send(wire.encode_ws(said(identity.agent)))
        connection.send(b"\0rubbish")
        for _ in range(2):
            payload = connection.recv(timeout=WAIT_SECONDS)
            assert isinstance(payload, bytes)
            assert payload[0] == 0
