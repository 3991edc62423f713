"""The threat: what comes through one gateway's socket takes everybody's places."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from opamp.v1 import opamp_pb2

from distribution.flows.orders import Order, Outcome
from distribution.protocol.wire import encode_ws
from distribution.transport import conversation as module
from distribution.transport.conversation import Conversation
from distribution.transport.desk import REQUESTS_MAX
from distribution.transport.worker import Worker
from keys.gateways import Admits
from keys.identity import AgentId
from tests.fakes.besieged_agent import wait_until
from tests.fakes.certificates import csr, new_key
from tests.fakes.listening import Identity, Listening, listening
from tests.fakes.wire_client import description, heard_with, request_for, said, tell, websocket


@pytest.fixture
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


@contextmanager
def held_up(worker: Worker) -> Iterator[None]:
    """Have nothing carried out until the block ends, as by a slow disk."""
    free, perform = threading.Event(), worker._perform

    def later(orders: Sequence[Order]) -> list[Outcome]:
        assert free.wait(20)
        return perform(orders)

    worker._perform = later
    try:
        yield
    finally:
        worker._perform = perform
        free.set()


def gateway_of(at: Listening, agents: int) -> tuple[Identity, list[AgentId]]:
    """Return a gateway, and so many agents that it may speak for."""
    gateway, found = at.enrolled(), [at.new_agent() for _ in range(agents)]
    at.work.gateway(gateway.agent, Admits.LISTED)
    for who in found:
        at.work.grants.admit(gateway.agent, who, {}, "operator:ann", at.work.clock())
    return gateway, found


def conversations(at: Listening) -> list[Conversation]:
    """Return those there are."""
    return [link for link in at.hub._links if isinstance(link, Conversation)]


def flood(at: Listening, gateway: Identity, agents: list[AgentId], each: int, may_wait: int) -> list[str]:
    """Have each ask for so many certificates while nobody works; return what was refused, in words."""
    with websocket(at, gateway) as connection:
        for who in agents:
            tell(connection, said(who, agent_description=description()))
        found = conversations(at)
        asks = request_for(csr(new_key(), agents[0]))
        with held_up(found[0]._desk.worker):
            for sequence in range(1, each + 1):
                for who in agents:
                    connection.send(encode_ws(said(who, sequence, connection_settings_request=asks)))
            over = each * len(agents) - may_wait
            refused = [heard_with(connection, "error_response").error_response for _ in range(over)]
            assert {one.type for one in refused} == {opamp_pb2.ServerErrorResponseType_Unavailable}
            assert found[0]._desk.worker._waiting.qsize() <= may_wait
        wait_until(lambda: not any(one._waiting for one in found))
        assert found[0]._socket.requests == 0
    return [one.error_message for one in refused]


def test_one_agent_asks_for_certificate_after_certificate(at: Listening) -> None:
    """So many wait, the others are refused under its uid; it may ask again when they are done."""
    gateway, agents = gateway_of(at, 1)
    words = flood(at, gateway, agents, 20, REQUESTS_MAX)
    assert words[0].startswith(f"{REQUESTS_MAX} certificate requests of this agent wait, {REQUESTS_MAX} of")


def test_many_agents_ask_for_one_each(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together they may not have more than one socket's share."""
    monkeypatch.setattr(module, "SOCKET_REQUESTS_MAX", 3)
    gateway, agents = gateway_of(at, 5)
    assert flood(at, gateway, agents, 1, 3)[0].startswith("0 certificate requests of this agent wait, 3 of")
