"""Connection settings of agents behind a gateway: all but that of the connection, which leads there."""

from collections.abc import Iterator

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import Destination
from distribution.flows.connections import set_setting
from distribution.flows.explain import explanation
from keys.identity import AgentId
from keys.sealing import Seal, new_seal_key
from tests.fakes.boarded import boarded
from tests.fakes.certificates import csr, new_key
from tests.fakes.listening import Identity, Listening
from tests.fakes.wire_client import ABLE, answer, description, heard, http_client, post, said, tell, websocket

SEAL = Seal([new_seal_key().strip()], "test")
OTLP = Destination("https://otlp.example:4318/v1/metrics")
MORE = ABLE | opamp_pb2.AgentCapabilities_ReportsOwnMetrics | opamp_pb2.AgentCapabilities_ReportsOwnLogs
NORTH = {"site": "north"}


@pytest.fixture
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """A listener whose agents of one site are to beat every 7 s and to send their metrics."""
    with boarded(tmp_path_factory.mktemp("listener"), SEAL) as here:
        put(here, Setting("beat", Kind.OPAMP, NORTH, heartbeat_seconds=7))
        put(here, Setting("otlp", Kind.METRICS, NORTH, OTLP))
        yield here


def put(at: Listening, setting: Setting) -> None:
    set_setting(at.work.database, at.hub, setting, seal=SEAL, actor="operator:ann", now=at.work.clock())
    at.plans.reload()


def behind(at: Listening) -> tuple[Identity, AgentId]:
    """Make a gateway and an agent that it may speak for."""
    gateway, who = at.enrolled(), at.new_agent()
    at.work.gateway(gateway.agent)
    at.work.grants.admit(gateway.agent, who, NORTH, "operator:ann", at.work.clock())
    return gateway, who


def first_words(who: AgentId) -> opamp_pb2.AgentToServer:
    message = said(who, agent_description=description())
    message.capabilities = MORE
    return message


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_it_is_offered_all_but_its_own_connection(at: Listening, transport: str) -> None:
    """Its telemetry, whole, and no word of where to connect; an operator is told so, and why."""
    gateway, who = behind(at)
    if transport == "websocket":
        with websocket(at, gateway) as link:
            found = tell(link, first_words(who))
            offer = found.connection_settings if found.HasField("connection_settings") else None
            offer = offer or heard(link).connection_settings
            why = explanation(
                at.exchange, at.registry, at.work.admission, at.work.database, who, now=at.work.clock()
            ).why
    else:
        with http_client(at, gateway) as pool:
            offer = answer(post(pool, first_words(who))).connection_settings
            why = explanation(
                at.exchange, at.registry, at.work.admission, at.work.database, who, now=at.work.clock()
            ).why
    assert offer.own_metrics.destination_endpoint == OTLP.endpoint
    assert offer.HasField("own_logs")
    assert not offer.HasField("opamp")
    assert [f"it is behind gateway {gateway.agent}" in each for each in why] == [False, False, True]


def test_an_agent_that_comes_by_itself_is_told_of_its_connection(at: Listening) -> None:
    """Once it has a certificate of its own nothing is left out any more."""
    gateway, who = behind(at)
    with websocket(at, gateway) as link:
        tell(link, first_words(who))
        assert not heard(link).connection_settings.HasField("opamp")
    key = new_key()
    issued = at.work.authority.certify(csr(key, who), who, {}, "operator:ann", at.work.clock())
    identity = at.keep(who, key, issued)
    with websocket(at, identity) as link:
        tell(link, first_words(who))
        assert heard(link).connection_settings.opamp.heartbeat_interval_seconds == 7
