"""Connection settings of agents that have a bearer token and no certificate, over a real listener."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import Destination
from distribution.flows.connections import set_setting
from keys.sealing import Seal, new_seal_key
from tests.fakes.boarded import boarded
from tests.fakes.listening import Listening
from tests.fakes.wire_client import ABLE, answer, description, heard, http_client, post, said, tell, websocket

SEAL = Seal([new_seal_key().strip()], "test")
METRICS = opamp_pb2.AgentCapabilities_ReportsOwnMetrics
STATUS = opamp_pb2.AgentCapabilities_ReportsConnectionSettingsStatus
LABELS = {"test": "tokens"}
BEAT = Setting("beat", Kind.OPAMP, LABELS, heartbeat_seconds=7)
DESTINATION = Setting("metrics", Kind.METRICS, LABELS, Destination("https://otlp.example:4318/v1/metrics"))


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Listening]:
    """A listener with a board of its own."""
    with boarded(tmp_path, SEAL) as here:
        yield here


@pytest.fixture(params=["websocket", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def put(at: Listening, setting: Setting) -> None:
    """Keep a setting, as an operator would."""
    set_setting(at.work.database, at.hub, setting, seal=SEAL, actor="operator:ann", now=at.work.clock())


def told(at: Listening, transport: str, able: int) -> tuple[str, opamp_pb2.ConnectionSettingsOffers]:
    """Return the token that an agent with these capabilities showed, and what it was offered."""
    who = at.new_agent()
    shown = at.work.bearer(who, "t", labels=LABELS)
    first = said(who, agent_description=description())
    first.capabilities = able
    if transport == "websocket":
        with websocket(at, bearer=shown) as link:
            tell(link, first)
            return shown, heard(link).connection_settings
    with http_client(at) as pool:
        return shown, answer(post(pool, first, bearer=shown)).connection_settings


def test_an_agent_on_a_bearer_token_is_told_the_header_it_shows(at: Listening, transport: str) -> None:
    """Its header comes back in the snapshot, so that a client that builds on it alone is not locked out."""
    put(at, BEAT)
    shown, found = told(at, transport, ABLE | STATUS)
    opamp = found.opamp
    assert [(one.key, one.value) for one in opamp.headers.headers] == [("Authorization", f"Bearer {shown}")]
    assert (opamp.heartbeat_interval_seconds, opamp.HasField("certificate")) == (7, False)


def test_on_a_token_without_status_only_telemetry_is_told(at: Listening, transport: str) -> None:
    """The upstream supervisor reads an offer without a certificate as leave to verify no server."""
    put(at, BEAT)
    put(at, DESTINATION)
    _, found = told(at, transport, ABLE | METRICS)
    assert found.own_metrics.destination_endpoint.startswith("https://")
    assert not found.HasField("opamp")
