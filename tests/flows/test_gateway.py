"""Agents behind a gateway over a real listener, both transports: routed by uid, one ended alone."""

import time
from collections.abc import Iterator

import pytest
from cryptography.x509.oid import AttributeOID
from opamp.v1 import opamp_pb2
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection

from distribution.domain.agent import Plan
from distribution.protocol import wire
from distribution.transport import behind
from keys.certificate import Reason
from keys.gateways import Admits
from keys.identity import AgentId, spiffe_uri
from tests.fakes.certificates import DOMAIN, csr, key_of, leaf_of, new_key, pem, request_builder
from tests.fakes.listening import Identity, Listening, listening
from tests.fakes.offers import an_offer
from tests.fakes.wire_client import (
    answer,
    close_of,
    description,
    heard,
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


def _gateway(at: Listening, admits: Admits = Admits.LISTED) -> Identity:
    identity = at.enrolled()
    at.work.gateway(identity.agent, admits, {"site": "north"})
    return identity


def _listed(at: Listening, gateway: Identity, number: int = 1) -> list[AgentId]:
    found = [at.new_agent() for _ in range(number)]
    for who in found:
        at.work.grants.admit(gateway.agent, who, {"site": "north"}, OPERATOR, at.work.clock())
    return found


def _of(reply: opamp_pb2.ServerToAgent) -> AgentId:
    return AgentId.from_bytes(reply.instance_uid)


def test_many_agents_talk_over_one_socket(at: Listening) -> None:
    """Each is answered under its own uid and known by its own words; the gateway is an agent beside them."""
    gateway = _gateway(at)
    behind_it = _listed(at, gateway, 3)
    with websocket(at, gateway) as connection:
        for who in [gateway.agent, *behind_it]:
            reply = tell(connection, said(who, agent_description=description()))
            assert (_of(reply), reply.capabilities != 0) == (who, True)
        for sequence in range(1, 4):  # heartbeats, in turn: each is answered under its own uid
            for who in [*reversed(behind_it), gateway.agent]:
                assert _of(tell(connection, said(who, sequence))) == who
        assert all(at.registry.view(who).connected for who in behind_it)
        assert dict(at.registry.view(behind_it[0]).labels) == {"site": "north"}
        assert at.hub.is_connected(behind_it[0])
        tell(connection, said(behind_it[1], 4, agent_disconnect=opamp_pb2.AgentDisconnect()))
        assert not at.registry.view(behind_it[1]).connected
        assert at.registry.view(behind_it[0]).connected
    assert close_all(at, behind_it)


def close_all(at: Listening, agents: list[AgentId]) -> bool:
    """Wait until none of these is connected any more."""
    for _ in range(2000):
        if not any(at.registry.view(who).connected for who in agents):
            return True
        at.check_now()
    return False


def test_one_is_revoked_without_the_others(at: Listening) -> None:
    """It is told why under its uid, at once; the gateway's socket and the other agents go on."""
    gateway = _gateway(at)
    one, other = _listed(at, gateway, 2)
    with websocket(at, gateway) as connection:
        for who in (one, other):
            tell(connection, said(who, agent_description=description()))
        watch = at.watches.open(one, lambda: None)
        gone = at.work.authority.revoke(one, Reason.KEY_COMPROMISE, OPERATOR, at.work.clock())
        assert at.hub.cut(gone.credentials, f"agent {one} was revoked") == 1
        told = heard(connection)
        why = {"type": "unknown", "text": told.error_response.error_message}
        assert watch.take()[0]["said"] == {"error": why}
        assert (_of(told), "was revoked" in told.error_response.error_message) == (one, True)
        refused = tell(connection, said(one, 1))
        assert _of(refused) == one
        assert "is not one that gateway" in refused.error_response.error_message
        assert not tell(connection, said(other, 1)).HasField("error_response")
        assert not tell(connection, said(gateway.agent, 0)).HasField("error_response")


def test_the_gateways_own_revocation_ends_them_all(at: Listening) -> None:
    """The socket is closed, nobody behind it is connected, and nobody comes back through it."""
    gateway = _gateway(at)
    agents = _listed(at, gateway, 2)
    with websocket(at, gateway) as connection, http_client(at, gateway) as pool:
        tell(connection, said(agents[0], agent_description=description()))
        assert post(pool, said(agents[1], agent_description=description())).status == 200
        assert at.hub.is_connected(agents[1])
        gone = at.work.authority.revoke(gateway.agent, Reason.KEY_COMPROMISE, OPERATOR, at.work.clock())
        at.hub.cut(gone.credentials, "gateway was revoked")
        assert close_of(connection)[0] == CloseCode.POLICY_VIOLATION
        assert close_all(at, agents)
        assert not at.hub.is_connected(agents[1])
    with http_client(at, gateway) as pool:
        assert post(pool, said(agents[1], 1)).status == 401


def test_a_gateway_that_loses_its_role_speaks_for_itself_alone(at: Listening) -> None:
    """Its conversations end with a word to each; its own goes on."""
    gateway = _gateway(at)
    agents = _listed(at, gateway, 2)
    with websocket(at, gateway) as connection:
        for who in [gateway.agent, *agents]:
            tell(connection, said(who, agent_description=description()))
        gone = at.work.grants.revoke_gateway(gateway.agent, OPERATOR, at.work.clock())
        assert at.hub.cut(gone, "gateway lost its role") == 2
        assert {_of(heard(connection)) for _ in agents} == set(agents)
        assert "is no gateway" in tell(connection, said(agents[0], 1)).error_response.error_message
        assert not tell(connection, said(gateway.agent, 1)).HasField("error_response")


def test_a_role_that_is_granted_counts_on_the_open_connection(at: Listening) -> None:
    """After the wake-up that goes with the grant."""
    gateway = at.enrolled()
    with websocket(at, gateway) as connection:
        tell(connection, said(gateway.agent, agent_description=description()))
        at.work.gateway(gateway.agent)
        [who] = _listed(at, gateway)
        at.hub.wake([gateway.agent])
        at.check_now()
        assert _of(tell(connection, said(who, agent_description=description()))) == who


def test_offers_go_through_the_gateway_by_uid(at: Listening) -> None:
    """Asked for and pushed; each agent has its own plan."""
    gateway = _gateway(at)
    one, other = _listed(at, gateway, 2)
    with websocket(at, gateway) as connection:
        for who in (one, other):
            tell(connection, said(who, agent_description=description()))
        at.plans.plan = Plan(an_offer("1.1.0"), 30)
        at.hub.wake([one])
        pushed = heard(connection)
        assert (_of(pushed), pushed.HasField("packages_available")) == (one, True)
        at.hub.wake([other])
        assert _of(heard(connection)) == other


def test_an_unknown_agent_is_admitted_at_first_sight(at: Listening) -> None:
    """Where the grant says so; it is asked for what it said before it was known."""
    gateway = _gateway(at, Admits.NEW)
    over_socket, over_http = at.new_agent(), at.new_agent()
    with websocket(at, gateway) as connection:
        reply = tell(connection, said(over_socket, agent_description=description()))
        assert (_of(reply), reply.HasField("error_response")) == (over_socket, False)
        assert reply.flags & opamp_pb2.ServerToAgentFlags_ReportFullState
        tell(connection, said(over_socket, 1, agent_description=description()))
    with http_client(at, gateway) as pool:
        found = answer(post(pool, said(over_http, agent_description=description())))
        assert (_of(found), found.HasField("error_response")) == (over_http, False)
    for who in (over_socket, over_http):
        assert at.registry.view(who).platform == "linux-amd64"
        assert dict(at.registry.labels(who)) == {"site": "north"}
    assert at.kinds().count("gateway.admitted") == 2


def test_many_agents_over_one_http_client(at: Listening) -> None:
    """Each has a conversation; one that is revoked is told in its answer, the others are served."""
    gateway = _gateway(at)
    one, other = _listed(at, gateway, 2)
    with http_client(at, gateway) as pool:
        for who in (one, other):
            reply = answer(post(pool, said(who, agent_description=description())))
            assert (_of(reply), reply.capabilities != 0) == (who, True)
        at.work.authority.revoke(one, Reason.KEY_COMPROMISE, OPERATOR, at.work.clock())
        refused = post(pool, said(one, 1))
        assert (refused.status, _of(answer(refused))) == (200, one)
        assert "is not one that gateway" in answer(refused).error_response.error_message
        again = answer(post(pool, said(other, 1)))
        assert (again.capabilities, again.HasField("error_response")) == (0, False)


def _send(connection: ClientConnection, who: AgentId, sequence: int, request: bytes) -> None:
    asking = request_for(request)
    connection.send(wire.encode_ws(said(who, sequence, connection_settings_request=asking)))


def test_a_certificate_of_its_own_by_the_agents_token(at: Listening) -> None:
    """It comes through the gateway, for the agent's key; from then on the agent speaks for itself alone."""
    gateway = _gateway(at)
    [who] = _listed(at, gateway)
    key, token = new_key(), at.work.token("own", labels={"ring": "b"})
    builder = request_builder(uris=[spiffe_uri(DOMAIN, who)])
    request = pem(builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, token.encode()), key)
    with websocket(at, gateway) as connection:
        tell(connection, said(who, 0, agent_description=description()))
        _send(connection, who, 1, request)
        reply = heard_with(connection, "connection_settings")
        given = reply.connection_settings.opamp.certificate
        assert (_of(reply), given.private_key) == (who, b"")
        assert key_of(leaf_of(given.cert)) == key.public_key()
        refused = tell(connection, said(who, 2)).error_response.error_message
        assert "is not one that gateway" in refused
        [serial] = at.work.admission.serials_of(who)
        issued = at.work.authority.renew(csr(key, who), serial, who, at.work.clock())
        assert issued.serial == serial
        with websocket(at, at.keep(who, key, issued)) as direct:
            assert _of(tell(direct, said(who, 3, agent_description=description()))) == who


def test_a_certificate_of_its_own_by_an_approval(at: Listening) -> None:
    """Silence until an operator approves that very key; then the next request is answered."""
    gateway = _gateway(at)
    [who] = _listed(at, gateway)
    request = csr(new_key(), who)
    asking = request_for(request)
    with http_client(at, gateway) as pool:
        silent = answer(post(pool, said(who, 0, connection_settings_request=asking)))
        assert not silent.HasField("connection_settings")
        assert not silent.HasField("error_response")
        [waits] = at.work.grants.requests()
        at.work.grants.approve(who, waits.key, OPERATOR, at.work.clock())
        given = answer(post(pool, said(who, 1, connection_settings_request=asking)))
        assert given.connection_settings.opamp.certificate.private_key == b""
        assert leaf_of(given.connection_settings.opamp.certificate.cert)
        assert at.work.admission.gateway(who) is None
        assert len(at.work.admission.serials_of(who)) == 1


def test_conversations_of_one_socket_are_bounded(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is told to come later; a silent one makes room."""
    monkeypatch.setattr(behind, "CONVERSATIONS_MAX", 1)
    gateway = _gateway(at)
    one, other = _listed(at, gateway, 2)
    with websocket(at, gateway) as connection:
        tell(connection, said(one, agent_description=description()))
        full = tell(connection, said(other)).error_response
        assert full.type == opamp_pb2.ServerErrorResponseType_Unavailable
        monkeypatch.setattr(behind, "SILENCE_SECONDS", -1.0)
        assert not tell(connection, said(other, agent_description=description())).HasField("error_response")
        assert not at.registry.view(one).connected


@pytest.mark.parametrize("over_http", [False, True])
def test_a_gateways_next_certificate_is_used_by_speaking_for_others(at: Listening, over_http: bool) -> None:  # noqa: FBT001 - a case
    """It becomes the current one though the gateway itself says nothing."""
    gateway = _gateway(at)
    [who] = _listed(at, gateway)
    key = new_key()
    issued = at.work.authority.renew(
        csr(key, gateway.agent), gateway.issued.serial, gateway.agent, at.work.clock()
    )
    renewed = at.keep(gateway.agent, key, issued)
    if over_http:
        with http_client(at, renewed) as pool:
            post(pool, said(who, agent_description=description()))
    else:
        with websocket(at, renewed) as connection:
            tell(connection, said(who, agent_description=description()))
    deadline = time.monotonic() + 10
    while at.work.admission.serials_of(gateway.agent) != (issued.serial,) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert at.work.admission.serials_of(gateway.agent) == (issued.serial,)


def test_the_same_agent_on_a_second_socket_of_its_gateway(at: Listening) -> None:
    """A gateway may have several; of one agent's conversations the newest wins, and the older one is told."""
    gateway = _gateway(at)
    one, other = _listed(at, gateway, 2)
    with websocket(at, gateway) as first, websocket(at, gateway) as second:
        for who in (one, other):
            tell(first, said(who, agent_description=description()))
        assert _of(tell(second, said(one, 1))) == one
        told = heard(first)
        assert (_of(told), "connected again" in told.error_response.error_message) == (one, True)
        assert not tell(first, said(other, 1)).HasField("error_response")
        assert at.registry.view(one).connected
        assert at.hub.turns(one) == 1
