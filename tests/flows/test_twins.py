"""Two connections of one agent, and two hosts with one uid, over a real listener."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from opamp.v1 import opamp_pb2
from websockets.frames import CloseCode

from distribution.protocol import wire
from keys.certificate import Reason
from keys.identity import AgentId
from tests.fakes.certificates import csr, key_of, leaf_of, new_key
from tests.fakes.databases import journalled_once
from tests.fakes.listening import Listening, listening
from tests.fakes.wire_client import (
    answer,
    close_of,
    description,
    heard_with,
    http_client,
    post,
    request_for,
    said,
    tell,
    websocket,
)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


def test_the_newest_connection_wins(at: Listening) -> None:
    """The older one is closed with a reason; the agent stays connected, and it is journalled once."""
    mine = at.enrolled()
    with ExitStack() as stack:
        older = stack.enter_context(websocket(at, mine))
        tell(older, said(mine.agent, 0, agent_description=description()))
        for sequence in range(1, 6):
            newest = stack.enter_context(websocket(at, mine))
            assert not tell(newest, said(mine.agent, sequence)).HasField("error_response")
            code, reason = close_of(older)
            assert (code, "connected again from 127.0.0.1" in reason) == (CloseCode.POLICY_VIOLATION, True)
            assert at.registry.view(mine.agent).connected
            older = newest
    assert at.hub.turns(mine.agent) == 5
    displaced = journalled_once(at.work.database, "connection.displaced", f"serial:{mine.issued.serial}")
    assert len(displaced) == 1


def test_a_connection_that_says_nothing_takes_nobodys_place(at: Listening) -> None:
    """Some clients open and close many: the one that talks is left alone."""
    mine = at.enrolled()
    with websocket(at, mine) as talks:
        tell(talks, said(mine.agent, 0, agent_description=description()))
        for sequence in range(1, 4):
            with websocket(at, mine):
                assert not tell(talks, said(mine.agent, sequence)).HasField("error_response")
    assert at.hub.turns(mine.agent) == 0


def test_two_clients_with_one_token(at: Listening) -> None:
    """As with a certificate: one agent, and the newest connection is its."""
    who = at.new_agent()
    presented = at.work.bearer(who, "two-clients")
    with websocket(at, bearer=presented) as first:
        tell(first, said(at.new_agent(), 0, agent_description=description()))
        with websocket(at, bearer=presented) as second:
            tell(second, said(at.new_agent(), 0, agent_description=description()))
            assert close_of(first)[0] == CloseCode.POLICY_VIOLATION
            assert at.registry.view(who).connected
    assert at.hub.turns(who) == 1


def test_a_certificate_that_two_hosts_hold_stays_one_agents(at: Listening) -> None:
    """Neither is given a second identity for it, also if it asks for one."""
    mine = at.enrolled()
    with websocket(at, mine) as connection:
        asked = said(mine.agent, 0, agent_description=description())
        asked.flags = opamp_pb2.AgentToServerFlags_RequestInstanceUid
        reply = tell(connection, asked)
        assert AgentId.from_bytes(reply.agent_identification.new_instance_uid) == mine.agent


def test_a_cloned_host_enrolls_under_a_uid_of_its_own(at: Listening) -> None:
    """Its uid is taken: on the same connection, with the same token, it becomes another agent."""
    original, token, key = at.enrolled(), at.work.token("clone", labels={"ring": "a"}), new_key()
    with websocket(at, token=token) as connection:
        asking = request_for(csr(key, original.agent))
        tell(connection, said(original.agent, 0, connection_settings_request=asking))
        told = heard_with(connection, "agent_identification")
        fresh = AgentId.from_bytes(told.agent_identification.new_instance_uid)
        assert (fresh != original.agent, fresh.uuid.version) == (True, 7)
        asking = request_for(csr(key, fresh))
        connection.send(wire.encode_ws(said(fresh, 1, connection_settings_request=asking)))
        given = heard_with(connection, "connection_settings").connection_settings.opamp.certificate
        assert key_of(leaf_of(given.cert)) == key.public_key()
    assert at.work.admission.labels_of(fresh) == {"ring": "a"}
    assert at.work.admission.serials_of(original.agent) == (original.issued.serial,)


def test_a_cloned_host_over_http(at: Listening) -> None:
    """Told in one answer, enrolled by the next request; the token is spent once."""
    original, token, key = at.enrolled(), at.work.token("http-clone"), new_key()
    with http_client(at) as pool:
        asking = request_for(csr(key, original.agent))
        told = answer(post(pool, said(original.agent, 0, connection_settings_request=asking), token=token))
        fresh = AgentId.from_bytes(told.agent_identification.new_instance_uid)
        asking = request_for(csr(key, fresh))
        given = answer(post(pool, said(fresh, 1, connection_settings_request=asking), token=token))
        assert leaf_of(given.connection_settings.opamp.certificate.cert)
    assert at.work.token_state("http-clone").used == 1


def test_a_stranger_may_ask_for_a_uid(at: Listening) -> None:
    """It gets one before it has sent a request; a request in the same message is for the old uid."""
    token, key, first = at.work.token("asks"), new_key(), at.new_agent()
    with websocket(at, token=token) as connection:
        asked = said(first, 0, connection_settings_request=request_for(csr(key, first)))
        asked.flags = opamp_pb2.AgentToServerFlags_RequestInstanceUid
        told = tell(connection, asked)
        fresh = AgentId.from_bytes(told.agent_identification.new_instance_uid)
        asking = request_for(csr(key, fresh))
        connection.send(wire.encode_ws(said(fresh, 1, connection_settings_request=asking)))
        assert heard_with(connection, "connection_settings")
    assert at.work.admission.serials_of(first) == ()


def test_a_lost_answer_is_no_clone(at: Listening) -> None:
    """The same token and the same key ask again: the same certificate, and no other uid."""
    token, key, who = at.work.token("again"), new_key(), at.new_agent()
    asking = request_for(csr(key, who))
    with http_client(at) as pool:
        answers = [
            answer(post(pool, said(who, 0, connection_settings_request=asking), token=token))
            for _ in range(2)
        ]
    chains = {reply.connection_settings.opamp.certificate.cert for reply in answers}
    assert len(chains) == 1
    assert not any(reply.HasField("agent_identification") for reply in answers)


@pytest.mark.parametrize("ban", [False, True])
def test_a_revoked_uid_is_not_given_another(at: Listening, ban: bool) -> None:  # noqa: FBT001 - a case
    """That is an operator's to decide; the refusal says so."""
    mine, token = at.enrolled(), at.work.token(f"revoked-{ban}".lower())
    at.work.authority.revoke(mine.agent, Reason.KEY_COMPROMISE, "operator:ann", at.work.clock(), ban=ban)
    with http_client(at) as pool:
        asking = request_for(csr(new_key(), mine.agent))
        reply = answer(post(pool, said(mine.agent, 0, connection_settings_request=asking), token=token))
    assert "must reset it" in reply.error_response.error_message
    assert not reply.HasField("agent_identification")


def test_a_stranger_takes_the_uid_it_was_told_or_none(at: Listening) -> None:
    """A third uid on the connection is refused, and nobody is told a second one."""
    original, token, key = at.enrolled(), at.work.token("third"), new_key()
    with websocket(at, token=token) as connection:
        asking = request_for(csr(key, original.agent))
        tell(connection, said(original.agent, 0, connection_settings_request=asking))
        heard_with(connection, "agent_identification")
        connection.send(wire.encode_ws(said(original.agent, 1, connection_settings_request=asking)))
        assert "must reset it" in heard_with(connection, "error_response").error_response.error_message
    with websocket(at, token=token) as connection:
        tell(connection, said(original.agent, 0, connection_settings_request=asking))
        heard_with(connection, "agent_identification")
        connection.send(wire.encode_ws(said(at.new_agent(), 1)))
        assert heard_with(connection, "error_response").error_response.error_message
        assert close_of(connection)[0] == CloseCode.POLICY_VIOLATION
    assert at.work.token_state("third").used == 0


def test_nobody_without_a_good_token_learns_whether_a_uid_is_taken(at: Listening) -> None:
    """The token is judged before the uid."""
    original = at.enrolled()
    with http_client(at) as pool:
        asking = request_for(csr(new_key(), original.agent))
        reply = answer(
            post(pool, said(original.agent, 0, connection_settings_request=asking), token="no.token")
        )
    assert reply.error_response.error_message == "enrollment token is not one of ours"
