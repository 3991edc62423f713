"""Connection settings of agents that show a bearer token, over a real listener, WebSocket and HTTP alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import Destination
from distribution.flows.connections import ConnectionBoard, set_setting
from keys.sealing import Seal, new_seal_key
from tests.fakes.listening import Listening, listening
from tests.fakes.wire_client import ABLE, answer, description, heard, http_client, post, said, tell, websocket

SEAL = Seal([new_seal_key().strip()], "test")
METRICS = Destination("https://otlp.example:4318/v1/metrics")
MORE = (
    ABLE
    | opamp_pb2.AgentCapabilities_ReportsOwnMetrics
    | opamp_pb2.AgentCapabilities_ReportsConnectionSettingsStatus
)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Listening]:
    """One listener, with a board of its own."""
    with listening(tmp_path) as here:
        here.plans.connections = ConnectionBoard(
            here.work.database, SEAL, here.work.admission.speaker_for, here.work.admission.is_certified
        )
        yield here


@pytest.fixture(params=["websocket", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_agent_on_a_bearer_token_is_told_the_header_it_shows(at: Listening, transport: str) -> None:
    """Its header comes back in the snapshot, so that a client that builds on it alone is not locked out."""
    label, who = f"bearer-{transport}", at.new_agent()
    shown = at.work.bearer(who, f"b-{transport}", labels={"test": label})
    setting = Setting(f"{label}-beat", Kind.OPAMP, {"test": label}, heartbeat_seconds=7)
    set_setting(at.work.database, at.hub, setting, seal=SEAL, actor="operator:ann", now=at.work.clock())
    first = said(who, agent_description=description())
    first.capabilities = MORE
    if transport == "websocket":
        with websocket(at, bearer=shown) as link:
            tell(link, first)
            opamp = heard(link).connection_settings.opamp
    else:
        with http_client(at) as pool:
            opamp = answer(post(pool, first, bearer=shown)).connection_settings.opamp
    assert [(one.key, one.value) for one in opamp.headers.headers] == [("Authorization", f"Bearer {shown}")]
    assert (opamp.heartbeat_interval_seconds, opamp.HasField("certificate")) == (7, False)


def test_on_a_token_without_status_only_telemetry_is_told(at: Listening, transport: str) -> None:
    """The upstream supervisor reads an offer without a certificate as leave to verify no server."""
    label, who = f"bare-{transport}", at.new_agent()
    shown = at.work.bearer(who, f"c-{transport}", labels={"test": label})
    beat = Setting(f"{label}-beat", Kind.OPAMP, {"test": label}, heartbeat_seconds=7)
    set_setting(at.work.database, at.hub, beat, seal=SEAL, actor="operator:ann", now=at.work.clock())
    otlp = Setting(f"{label}-metrics", Kind.METRICS, {"test": label}, METRICS)
    set_setting(at.work.database, at.hub, otlp, seal=SEAL, actor="operator:ann", now=at.work.clock())
    first = said(who, agent_description=description())
    first.capabilities = MORE & ~opamp_pb2.AgentCapabilities_ReportsConnectionSettingsStatus
    if transport == "websocket":
        with websocket(at, bearer=shown) as link:
            tell(link, first)
            told = heard(link).connection_settings
    else:
        with http_client(at) as pool:
            told = answer(post(pool, first, bearer=shown)).connection_settings
    assert told.own_metrics.destination_endpoint.startswith("https://")
    assert not told.HasField("opamp")
