"""A bearer token's life over a real listener, on both transports: let in, told who it is, ended."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from opamp.v1 import opamp_pb2
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode

from distribution.domain.connections import ConnectionSet
from distribution.domain.terms import Terms
from distribution.errors import InsecureOfferError
from distribution.flows.enrol import Caller
from distribution.flows.equip import Equipper
from distribution.flows.identify import TELL_UID_EVERY
from distribution.protocol.effects import Equip
from keys.certificate import BearerId, Reason
from keys.identity import AgentId
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.listening import Listening, listening
from tests.fakes.wire_client import (
    answer,
    close_of,
    description,
    http_client,
    post,
    request_for,
    said,
    tell,
    websocket,
)

BEAT = Equip(ConnectionSet(heartbeat_seconds=30), 1, reports_status=True)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


def _given(at: Listening) -> tuple[AgentId, str, str]:
    """Give a new agent a token; return the agent, the token's id and what its client presents."""
    who = at.new_agent()
    token_id = f"b{who.uuid.int & 0xFFFF}"
    return who, token_id, at.work.bearer(who, token_id, labels={"ring": "a"})


def test_a_token_lets_its_agent_in_over_websocket(at: Listening) -> None:
    """It is known, labelled and answered as any agent; nothing is promoted, nothing is enrolled."""
    who, _, presented = _given(at)
    with websocket(at, bearer=presented) as connection:
        reply = tell(connection, said(who, agent_description=description()))
        assert AgentId.from_bytes(reply.instance_uid) == who
        assert not reply.HasField("agent_identification")
        view = at.registry.view(who)
        assert (view.connected, view.platform, dict(view.labels)) == (True, "linux-amd64", {"ring": "a"})


def test_a_token_lets_its_agent_in_over_http(at: Listening) -> None:
    """Request by request, in one conversation."""
    who, _, presented = _given(at)
    with http_client(at) as pool:
        for sequence in range(3):
            response = post(pool, said(who, sequence, agent_description=description()), bearer=presented)
            assert response.status == 200
            assert answer(response).capabilities == 0 or sequence == 0
    assert at.registry.view(who).sequence == 2


def test_a_client_that_makes_up_a_uid_is_its_tokens_agent(at: Listening) -> None:
    """It is answered under its own uid, told the agent's once and again an hour later, and never listed."""
    who, _, presented = _given(at)
    made_up = agent(8001)
    with websocket(at, bearer=presented) as connection:
        first = tell(connection, said(made_up, 0, agent_description=description()))
        assert AgentId.from_bytes(first.instance_uid) == made_up
        assert AgentId.from_bytes(first.agent_identification.new_instance_uid) == who
        second = tell(connection, said(made_up, 1))
        assert AgentId.from_bytes(second.instance_uid) == made_up
        assert not second.HasField("agent_identification")
        at.work.clock.advance(TELL_UID_EVERY)
        third = tell(connection, said(made_up, 2))
        assert AgentId.from_bytes(third.agent_identification.new_instance_uid) == who
        at.work.clock.advance(-timedelta(days=1))
        fourth = tell(connection, said(made_up, 3))
        assert fourth.HasField("agent_identification"), "the clock was set back, and it is not waited for"
        at.work.clock.advance(timedelta(days=1))
        adopted = tell(connection, said(who, 4))
        assert AgentId.from_bytes(adopted.instance_uid) == who
        assert not adopted.HasField("agent_identification")
    assert at.registry.view(who).platform == "linux-amd64"
    assert at.registry.view(made_up).description is None


def test_a_made_up_uid_over_http(at: Listening) -> None:
    """Each request may even bring another one; it is one agent and one conversation."""
    who, _, presented = _given(at)
    with http_client(at) as pool:
        told = []
        for sequence, number in enumerate((8002, 8002, 8003)):
            message = said(agent(number), sequence, agent_description=description())
            reply = answer(post(pool, message, bearer=presented))
            assert AgentId.from_bytes(reply.instance_uid) == agent(number)
            told.append(reply.HasField("agent_identification"))
    assert told == [True, False, False]
    assert at.registry.view(who).sequence == 2


@pytest.mark.parametrize("transport", ["ws", "http"])
def test_a_made_up_uid_is_watched_and_logged_as_its_agent(
    at: Listening, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who watches the agent sees the client's messages, and each line of the log names the agent."""
    who, _, presented = _given(at)
    made_up = agent(8010)
    watch = at.watches.open(who, lambda: None)
    with caplog.at_level(logging.INFO):
        message = said(made_up, 0, agent_description=description())
        if transport == "ws":
            with websocket(at, bearer=presented) as connection:
                tell(connection, message)
        else:
            with http_client(at) as pool:
                answer(post(pool, message, bearer=presented))
    at.watches.close(watch)
    came, went = watch.take()[:2]
    assert (came["direction"], went["direction"]) == ("from agent", "to agent")
    assert isinstance(came["said"], dict)
    assert came["said"]["calls_itself"] == str(made_up)
    [line] = [vars(record) for record in caplog.records if record.getMessage() == "exchange"]
    assert (line["agent"], line["calls_itself"]) == (str(who), str(made_up))


@pytest.mark.parametrize("how", ["the token", "the agent"])
def test_a_revocation_cuts_live_connections_of_both_kinds(at: Listening, how: str) -> None:
    """The socket is closed with a reason, the idle HTTP connection too; both are refused from then on."""
    who, token_id, presented = _given(at)
    with websocket(at, bearer=presented) as connection, http_client(at) as pool:
        tell(connection, said(who, agent_description=description()))
        assert post(pool, said(who, 1), bearer=presented).status == 200
        if how == "the token":
            at.work.grants.revoke_token(BearerId(token_id), "operator:ann", at.work.clock())
            assert at.hub.cut([BearerId(token_id)], "bearer token was revoked") == 2
        else:
            gone = at.work.authority.revoke(who, Reason.KEY_COMPROMISE, "operator:ann", at.work.clock())
            assert at.hub.cut(gone.credentials, "agent was revoked") == 2
        assert close_of(connection)[0] == CloseCode.POLICY_VIOLATION
    with pytest.raises(InvalidStatus) as caught, websocket(at, bearer=presented):
        pass
    assert caught.value.response.status_code == 401
    with http_client(at) as pool:
        assert post(pool, said(who, 2), bearer=presented).status == 401


def test_a_token_that_ends_ends_its_connection(at: Listening) -> None:
    """At the next message, and on a silent connection when it is checked."""
    who = at.new_agent()
    presented = at.work.bearer(who, "ends", life=timedelta(hours=1))
    with websocket(at, bearer=presented) as talks:
        tell(talks, said(who, agent_description=description()))
        at.work.clock.advance(timedelta(hours=1))
        error = tell(talks, said(who, 1)).error_response
        assert "bearer ends of agent" in error.error_message
        assert close_of(talks)[0] == CloseCode.POLICY_VIOLATION
    who = at.new_agent()
    presented = at.work.bearer(who, "ends-silently", life=timedelta(hours=1))
    with websocket(at, bearer=presented) as silent:
        tell(silent, said(who, agent_description=description()))
        at.work.clock.advance(timedelta(hours=1))
        at.check_now()
        assert close_of(silent)[0] == CloseCode.POLICY_VIOLATION


def test_a_rotation_is_two_tokens_for_a_while(at: Listening) -> None:
    """The next one works beside the first, whose end does not touch it."""
    who, token_id, first = _given(at)
    second = at.work.bearer(who, f"{token_id}-next", new=False, secret="n" * 43)
    with websocket(at, bearer=first) as old, websocket(at, bearer=second) as new:
        tell(old, said(who, 0, agent_description=description()))
        tell(new, said(who, 1, agent_description=description()))
        at.work.grants.revoke_token(BearerId(token_id), "operator:ann", at.work.clock())
        assert at.hub.cut([BearerId(token_id)], "rotated") == 1
        assert close_of(old)[0] == CloseCode.POLICY_VIOLATION
        assert tell(new, said(who, 2)).HasField("error_response") is False


def test_a_token_asks_for_no_certificate(at: Listening) -> None:
    """A request over it is refused in words; an operator certifies such an agent."""
    who, _, presented = _given(at)
    asking = request_for(csr(new_key(), who))
    with websocket(at, bearer=presented) as connection:
        tell(connection, said(who, 0, agent_description=description()))
        connection.send(b"\0" + said(who, 1, connection_settings_request=asking).SerializeToString())
        replies = []
        while not replies or not replies[-1].HasField("error_response"):
            replies.append(opamp_pb2.ServerToAgent.FromString(bytes(connection.recv(timeout=10))[1:]))
        assert "an operator certifies" in replies[-1].error_response.error_message
    assert at.work.admission.serials_of(who) == ()


def test_offered_settings_keep_the_token(at: Listening) -> None:
    """Clients build their connection from an offer alone: the header they showed is in it."""
    who, token_id, presented = _given(at)
    terms = Terms("wss://qm.example:4320/v1/opamp", "https://qm.example:4321", at.work.ca.root_pem)
    caller = Caller(bearer=BearerId(token_id), presented=presented, claimed=who)
    offer = Equipper(at.work.database, terms).equip(who, caller, BEAT)
    assert offer.headers == {"Authorization": f"Bearer {presented}"}
    assert presented not in repr(offer)
    with pytest.raises(InsecureOfferError, match=r"opamp\.certificate is missing"):
        Equipper(at.work.database, terms).equip(who, caller, replace(BEAT, reports_status=False))
    with pytest.raises(InsecureOfferError):
        Equipper(at.work.database, terms).equip(who, Caller(token="t1.secret"), BEAT)
