"""Agents that are seldom heard: not counted as there for ever, nor taken for gone and offered all anew."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import Plan
from distribution.domain.liveness import USUAL, Liveness, Patience
from distribution.transport.conversation import Conversation
from distribution.transport.poller import Poller
from keys.gateways import Admits
from keys.identity import AgentId
from tests.fakes.besieged_agent import wait_until
from tests.fakes.listening import Identity, Listening, listening
from tests.fakes.offers import an_offer
from tests.fakes.wire_client import answer, description, heard, http_client, post, said, tell, websocket

HEARTBEATS = int(opamp_pb2.AgentCapabilities_ReportsHeartbeat)


@pytest.fixture
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        here.plans.plan = Plan(an_offer("1.0.0"), 30)
        yield here


def silent(at: Listening, who: AgentId, seconds: float) -> None:
    """Have so much time pass since the agent was heard, and links be checked."""
    for link in list(at.hub._links):
        if isinstance(link, Poller | Conversation) and link.agent == who:
            link.heard_at -= seconds
    at.check_now()


def swept(at: Listening, days: int) -> None:
    """Have so many days pass, and every agent be looked at."""
    for _ in range(40):
        at.registry.sweep(at.work.clock() + timedelta(days=days))


def behind_a_gateway(at: Listening) -> tuple[Identity, AgentId]:
    """Return a gateway, and an agent that it may speak for."""
    gateway, who = at.enrolled(), at.new_agent()
    at.work.gateway(gateway.agent, Admits.LISTED, {})
    at.work.grants.admit(gateway.agent, who, {}, "operator:ann", at.work.clock())
    return gateway, who


def test_a_second_socket_that_says_nothing(at: Listening) -> None:
    """It outlives the one that was greeted, and ends: the agent is not connected for ever by then."""
    identity = at.enrolled()
    with websocket(at, identity) as greeted:
        tell(greeted, said(identity.agent, agent_description=description()))
        with websocket(at, identity):
            wait_until(lambda: len(at.hub._by_agent[identity.agent]) == 2)
            greeted.close()
            wait_until(lambda: len(at.hub._by_agent[identity.agent]) == 1)
            assert at.registry.find(identity.agent).connected
    wait_until(lambda: not at.hub.is_connected(identity.agent))
    wait_until(lambda: not at.registry.find(identity.agent).connected)
    swept(at, 30)
    assert at.registry.live(identity.agent) is Liveness.GONE


def test_polls_every_ten_minutes(at: Listening) -> None:
    """As it was told to: it stays connected in between, and is offered nothing anew with every poll."""
    at.registry._patience = Patience(timedelta(minutes=10), USUAL.missed, USUAL.gone_after)
    identity, offered = at.enrolled(), []
    with http_client(at, identity) as pool:
        for sequence in range(4):
            news = {} if sequence else {"agent_description": description()}
            message = said(identity.agent, sequence, **news)
            message.capabilities |= int(opamp_pb2.AgentCapabilities_AcceptsOpAMPConnectionSettings)
            told = answer(post(pool, message))
            offered.append(told.packages_available.all_packages_hash[-2:])
            silent(at, identity.agent, 599)
            assert at.registry.find(identity.agent).connected
            at.work.clock.advance(timedelta(seconds=599))
    assert len(set(offered)) == 4, "the same offer as if it were the first, with every poll"
    silent(at, identity.agent, 1801)
    assert not at.registry.find(identity.agent).connected


def test_an_agent_behind_a_gateway_that_promised_nothing(at: Listening) -> None:
    """It is there as long as the socket is, and what changes is pushed to it."""
    gateway, who = behind_a_gateway(at)
    with websocket(at, gateway) as connection:
        tell(connection, said(who, agent_description=description()))
        silent(at, who, 3600)
        assert at.registry.find(who).connected
        at.plans.plan = Plan(an_offer("2.0.0"), 30)
        at.hub.wake()
        assert heard(connection).packages_available.all_packages_hash
    wait_until(lambda: not at.registry.find(who).connected)


def test_an_agent_behind_a_gateway_that_missed_its_heartbeats(at: Listening) -> None:
    """It is gone, and the socket stays."""
    gateway, who = behind_a_gateway(at)
    with websocket(at, gateway) as connection:
        message = said(who, agent_description=description())
        message.capabilities |= HEARTBEATS
        tell(connection, message)
        silent(at, who, 301)
        assert not at.registry.find(who).connected
        message.sequence_num = 1
        assert tell(connection, message).instance_uid == who.raw


def test_the_most_silent_gives_way(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that is full takes another agent where one was silent for long, and else refuses it."""
    monkeypatch.setattr("distribution.transport.behind.CONVERSATIONS_MAX", 2)
    gateway, first = behind_a_gateway(at)
    others = [at.new_agent() for _ in range(3)]
    for who in others:
        at.work.grants.admit(gateway.agent, who, {}, "operator:ann", at.work.clock())
    with websocket(at, gateway) as connection:
        for who in (first, others[0]):
            tell(connection, said(who, agent_description=description()))
        refused = tell(connection, said(others[1], agent_description=description()))
        assert "at most 2 are taken" in refused.error_response.error_message
        silent(at, others[0], 301)
        tell(connection, said(first, 1))  # he was heard last, and began first
        silent(at, first, 301)
        taken = tell(connection, said(others[2], agent_description=description()))
        assert not taken.HasField("error_response")
        now = [at.registry.find(who).connected for who in (first, others[0], others[2])]
        assert now == [True, False, True]
