"""The threat: a gateway speaks for agents that it may not speak for, or takes one over for good.

Each case is tried over a real listener and ends in an error for that uid; nothing is learned of the agent
from what the gateway said, and the gateway's own conversation goes on.
"""

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from cryptography.x509.oid import AttributeOID
from opamp.v1 import opamp_pb2
from websockets.exceptions import InvalidStatus

from distribution.domain.connections import Credential
from distribution.domain.terms import Terms
from distribution.protocol.offers import HTTP, WEBSOCKET, Reply, render
from distribution.transport import behind
from keys import passages, waiting
from keys.certificate import Passage, Reason
from keys.errors import RefusedError
from keys.gateways import Admits
from keys.identity import AgentId, spiffe_uri
from tests.fakes.certificates import DOMAIN, NOW, agent, csr, new_key, pem, request_builder
from tests.fakes.databases import journalled_once
from tests.fakes.listening import Identity, Listening, listening
from tests.fakes.wire_client import (
    answer,
    description,
    heard_with,
    http_client,
    post,
    request_for,
    said,
    tell,
    websocket,
)

OPERATOR = "operator:ann"


@pytest.fixture
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


def _gateway(at: Listening, admits: Admits) -> Identity:
    identity = at.enrolled()
    at.work.gateway(identity.agent, admits)
    return identity


def _admitted(at: Listening, gateway: AgentId) -> AgentId:
    who = at.new_agent()
    at.work.grants.admit(gateway, who, {}, OPERATOR, at.work.clock())
    return who


def _an_unknown_one(at: Listening, _gateway: AgentId) -> AgentId:
    return at.new_agent()


def _one_with_a_certificate(at: Listening, _gateway: AgentId) -> AgentId:
    return at.enrolled().agent


def _one_with_a_token(at: Listening, _gateway: AgentId) -> AgentId:
    who = at.new_agent()
    at.work.bearer(who, f"b{who.uuid.int & 0xFFFF}")
    return who


def _one_of_another_gateway(at: Listening, _gateway_: AgentId) -> AgentId:
    return _admitted(at, _gateway(at, Admits.NEW).agent)


def _a_revoked_one(at: Listening, gateway: AgentId) -> AgentId:
    who = _admitted(at, gateway)
    at.work.authority.revoke(who, Reason.KEY_COMPROMISE, OPERATOR, at.work.clock())
    return who


def _a_banned_one(at: Listening, gateway: AgentId) -> AgentId:
    who = _admitted(at, gateway)
    at.work.authority.revoke(who, Reason.KEY_COMPROMISE, OPERATOR, at.work.clock(), ban=True)
    return who


def _one_that_was_reset(at: Listening, _gateway: AgentId) -> AgentId:
    who = at.enrolled().agent
    at.work.authority.reset(who, OPERATOR, at.work.clock())
    return who


def _one_that_got_a_certificate_since(at: Listening, gateway: AgentId) -> AgentId:
    who = _admitted(at, gateway)
    at.work.authority.certify(csr(new_key(), who), who, {}, OPERATOR, at.work.clock())
    return who


def _one_that_got_a_token_since(at: Listening, gateway: AgentId) -> AgentId:
    who = _admitted(at, gateway)
    at.work.bearer(who, f"b{who.uuid.int & 0xFFFF}", new=False)
    return who


def _another_gateway(at: Listening, _gateway_: AgentId) -> AgentId:
    return _gateway(at, Admits.LISTED).agent


VICTIMS: tuple[Callable[[Listening, AgentId], AgentId], ...] = (
    _one_with_a_certificate,
    _one_with_a_token,
    _one_of_another_gateway,
    _a_revoked_one,
    _a_banned_one,
    _one_that_was_reset,
    _one_that_got_a_certificate_since,
    _one_that_got_a_token_since,
    _another_gateway,
)


@pytest.mark.parametrize("admits", [Admits.LISTED, Admits.NEW])
@pytest.mark.parametrize("victim", VICTIMS, ids=lambda victim: str(victim.__name__))
def test_speaking_for(at: Listening, victim: Callable[[Listening, AgentId], AgentId], admits: Admits) -> None:
    """Refused on both transports, whatever the role says; the gateway itself goes on being served."""
    gateway = _gateway(at, admits)
    who = victim(at, gateway.agent)
    with websocket(at, gateway) as connection, http_client(at, gateway) as pool:
        error = tell(connection, said(who, agent_description=description()))
        assert AgentId.from_bytes(error.instance_uid) == who
        assert error.error_response.type == opamp_pb2.ServerErrorResponseType_BadRequest
        response = post(pool, said(who, agent_description=description()))
        assert (response.status, answer(response).HasField("error_response")) == (200, True)
        assert not tell(connection, said(gateway.agent)).HasField("error_response")
    assert at.registry.view(who).description is None


def test_speaking_for_an_unknown_one_that_nobody_listed(at: Listening) -> None:
    """The refusal is journalled, once for the gateway's certificate, with the victim's name."""
    gateway = _gateway(at, Admits.LISTED)
    unknown = [at.new_agent() for _ in range(20)]
    with websocket(at, gateway) as connection:
        for who in unknown:
            assert tell(connection, said(who)).HasField("error_response")
    refused = journalled_once(at.work.database, "connection.refused", f"serial:{gateway.issued.serial}")
    assert [entry.actor for entry in refused] == [f"agent:{unknown[0]}"]
    assert at.work.grants.roles()[0][1] == []


def test_flooding_with_unknown_ones(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cap holds; those that came in before stay."""
    monkeypatch.setattr(passages, "BEHIND_MAX", 3)
    gateway = _gateway(at, Admits.NEW)
    with websocket(at, gateway) as connection:
        errors = [tell(connection, said(at.new_agent())).HasField("error_response") for _ in range(6)]
        assert errors == [False, False, False, True, True, True]
    assert len(at.work.grants.roles()[0][1]) == 3


def test_many_newcomers_at_once(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more of them wait than are let wait; the others are told to come later."""
    monkeypatch.setattr(behind, "NEWCOMERS_MAX", 0)
    gateway = _gateway(at, Admits.NEW)
    with websocket(at, gateway) as connection:
        error = tell(connection, said(at.new_agent())).error_response
    assert error.type == opamp_pb2.ServerErrorResponseType_Unavailable


def test_a_bearer_token_makes_nobody_a_gateway(at: Listening) -> None:
    """The role is for the certificate: over the token every message is the token's own agent's."""
    gateway = _gateway(at, Admits.NEW)
    presented = at.work.bearer(gateway.agent, "of-a-gateway", new=False)
    other = at.new_agent()
    with websocket(at, bearer=presented) as connection:
        tell(connection, said(other, agent_description=description()))
    assert at.registry.view(gateway.agent).platform == "linux-amd64"
    assert at.registry.view(other).description is None


def test_a_certificate_that_is_no_gateways_brings_nobody(at: Listening) -> None:
    """Nor does one whose gateway's role ended while it was connected: the message is refused, by name."""
    gateway = _gateway(at, Admits.NEW)
    who = _admitted(at, gateway.agent)
    at.work.grants.revoke_gateway(gateway.agent, OPERATOR, at.work.clock())
    with websocket(at, gateway) as connection:
        error = tell(connection, said(who)).error_response
        assert str(who) in error.error_message
    with http_client(at, gateway) as pool:
        assert post(pool, said(who)).status == 401


def test_asking_for_an_agents_certificate(at: Listening) -> None:
    """The gateway's word alone gives none; another key than the approved one waits for itself."""
    gateway = _gateway(at, Admits.LISTED)
    who = _admitted(at, gateway.agent)
    agents_key, gateways_key = new_key(), new_key()

    def ask(request: bytes, sequence: int) -> opamp_pb2.ServerToAgent:
        return answer(post(pool, said(who, sequence, connection_settings_request=request_for(request))))

    with http_client(at, gateway) as pool:
        assert not ask(csr(agents_key, who), 0).HasField("connection_settings")
        [waits] = at.work.grants.requests()
        at.work.grants.approve(who, waits.key, OPERATOR, at.work.clock())
        for _ in range(2):  # at once, and when it may take the place of the agent's own
            assert not ask(csr(gateways_key, who), 1).HasField("connection_settings")
            at.work.clock.advance(waiting.ANOTHER_AFTER)
        assert at.work.admission.serials_of(who) == ()
        with pytest.raises(RefusedError, match="approved was"):
            at.work.grants.approve(who, waits.key, OPERATOR, at.work.clock())


@pytest.mark.parametrize("token", ["spent.x", "t-nobody", "", "revoked." + "x" * 43])
def test_asking_with_a_bad_token(at: Listening, token: str) -> None:
    """Refused in words; the passage stays as it was."""
    gateway = _gateway(at, Admits.LISTED)
    who = _admitted(at, gateway.agent)
    builder = request_builder(uris=[spiffe_uri(DOMAIN, who)])
    request = pem(builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, token.encode()), new_key())
    with http_client(at, gateway) as pool:
        reply = answer(post(pool, said(who, 0, connection_settings_request=request_for(request))))
    assert reply.error_response.type == opamp_pb2.ServerErrorResponseType_BadRequest
    assert at.work.admission.held_by(who) == (Passage(who, gateway.agent),)


def test_asking_in_one_agents_name_for_another(at: Listening) -> None:
    """A request names the agent that sends it, and no other behind the same gateway."""
    gateway = _gateway(at, Admits.LISTED)
    one, other = _admitted(at, gateway.agent), _admitted(at, gateway.agent)
    with websocket(at, gateway) as connection:
        tell(connection, said(one, 0, agent_description=description()))
        asking = request_for(csr(new_key(), other))
        reply = tell(connection, said(one, 1, connection_settings_request=asking))
        reply = reply if reply.HasField("error_response") else heard_with(connection, "error_response")
        assert f"names agent {other}" in reply.error_response.error_message
    assert at.work.grants.requests() == []


def test_a_stranger_with_a_token_takes_no_agent_from_behind_a_gateway(at: Listening) -> None:
    """He is told another uid; the agent stays the gateway's, with its labels."""
    gateway = _gateway(at, Admits.LISTED)
    who = _admitted(at, gateway.agent)
    token = at.work.token("thief", labels={"env": "prod"})
    with http_client(at) as pool:
        asking = request_for(csr(new_key(), who))
        reply = answer(post(pool, said(who, connection_settings_request=asking), token=token))
    assert not reply.HasField("connection_settings")
    assert AgentId.from_bytes(reply.agent_identification.new_instance_uid) != who
    assert at.work.admission.held_by(who) == (Passage(who, gateway.agent),)
    assert at.work.admission.labels_of(who) == {}


def test_an_agent_behind_a_gateway_is_not_let_in_without_it(at: Listening) -> None:
    """What admits it is the gateway's connection: there is nothing it could present itself."""
    gateway = _gateway(at, Admits.LISTED)
    who = _admitted(at, gateway.agent)
    with pytest.raises(InvalidStatus) as caught, websocket(at):
        pass
    assert caught.value.response.status_code == 401
    with websocket(at, at.enrolled()) as connection:
        assert str(who) in tell(connection, said(who)).error_response.error_message


def test_enrolling_under_the_name_of_a_gateway_that_was_reset(at: Listening) -> None:
    """Any enrollment token opens a uid that was reset; the role was its certificate's, and went with that."""
    gateway = _gateway(at, Admits.NEW)
    who = _admitted(at, gateway.agent)
    at.work.authority.reset(gateway.agent, OPERATOR, at.work.clock())
    key = new_key()
    thief = at.keep(gateway.agent, key, at.work.enroll(key, gateway.agent, at.work.token("thief")))
    with websocket(at, thief) as connection:
        assert str(who) in tell(connection, said(who)).error_response.error_message
    assert at.work.admission.held_by(who) == ()
    assert at.work.grants.roles() == []


def test_private_keys_are_never_sent() -> None:
    """There is no place for one in what is offered, and none in what is said, on either transport."""
    assert [field.name for field in dataclasses.fields(Credential) if "key" in field.name] == []
    terms = Terms("wss://qm.example:4320/v1/opamp", "https://qm.example:4321", "CA")
    for route in (WEBSOCKET, HTTP):
        message = render(Reply(agent().uuid, credential=Credential(b"CHAIN", 30, NOW)), terms, route)
        assert message.connection_settings.opamp.certificate.cert == b"CHAIN"
        assert message.connection_settings.opamp.certificate.private_key == b""
        assert b"PRIVATE KEY" not in message.SerializeToString()
