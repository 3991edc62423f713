"""Connection settings: sound ones only, journalled without secrets, told at once, decided in memory."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Capability
from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import Destination, Signal
from distribution.errors import ConflictError, InsecureOfferError, InvalidError, PolicyError, UnknownError
from distribution.flows import connections
from distribution.flows.connections import ConnectionBoard, remove_setting, set_setting
from keys.identity import AgentId
from keys.sealing import Seal, new_seal_key
from storage.database import Database
from tests.fakes.certificates import small_ca
from tests.fakes.databases import journalled, opened
from tests.fakes.live_connections import LiveConnections

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
SEAL = Seal([new_seal_key().strip()], "test")
OTLP = Destination("https://otlp.example/v1/metrics", {"Authorization": "Basic s3cret"})
METRICS = Setting("m", Kind.METRICS, {}, OTLP)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def put(database: Database, *wanted: Setting, live: LiveConnections | None = None) -> None:
    for one in wanted:
        set_setting(database, live or LiveConnections(), one, seal=SEAL, actor="operator:ann", now=NOW)


def board(database: Database, *wanted: Setting) -> ConnectionBoard:
    put(database, *wanted)
    made = ConnectionBoard(database, SEAL, lambda _: None, lambda _: True)
    made.reload()
    return made


def agent(capabilities: Capability = Capability.REPORTS_OWN_METRICS, **labels: str) -> AgentView:
    return AgentView(uuid.UUID(int=7), labels, capabilities=capabilities)


def test_a_setting_is_kept_journalled_and_told(database: Database) -> None:
    """The entry names the headers and has no value of one; every agent is woken."""
    live = LiveConnections()
    put(database, METRICS, live=live)
    [entry] = journalled(database)
    assert (entry.kind, entry.actor, entry.subject) == ("connections.set", "operator:ann", "connections:m")
    assert (entry.detail["endpoint"], entry.detail["headers"]) == (OTLP.endpoint, ["Authorization"])
    assert "s3cret" not in str(entry)
    assert live.woken == [None]
    assert [one.setting.name for one in connections.all_settings(database)] == ["m"]


def test_removing_is_journalled_and_told(database: Database) -> None:
    """What is gone is nobody's any more; a name that is none is refused."""
    put(database, METRICS)
    live = LiveConnections()
    removed = remove_setting(database, live, "m", actor="operator:ann", now=NOW)
    assert removed.setting.name == "m"
    assert [entry.kind for entry in journalled(database)] == ["connections.set", "connections.removed"]
    assert live.woken == [None]
    with pytest.raises(UnknownError):
        remove_setting(database, live, "m", actor="operator:ann", now=NOW)


@pytest.mark.parametrize(
    "target",
    [
        Destination("http://otlp.example/v1/metrics"),
        Destination("https://otlp.example/v1/metrics", {"A": "b\nC: d"}),
    ],
)
def test_what_a_client_reads_as_insecure_is_not_kept(database: Database, target: Destination) -> None:
    """Nothing is written and nobody woken."""
    live = LiveConnections()
    with pytest.raises(InsecureOfferError, match=r"own_metrics\."):
        put(database, replace(METRICS, destination=target), live=live)
    assert (journalled(database), live.woken) == ([], [])


def test_a_ca_is_certificates(database: Database) -> None:
    """A text with the right first line is not enough; a real one is kept."""
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with pytest.raises(InvalidError, match="ca is not certificates in PEM"):
        put(database, replace(METRICS, destination=replace(OTLP, ca_pem=broken)))
    put(database, replace(METRICS, destination=replace(OTLP, ca_pem=small_ca().root_pem)))


def test_two_settings_for_the_same_agents_are_refused_by_name(database: Database) -> None:
    """A tie that no label could ever decide is not kept; the setting itself may be set again."""
    put(database, METRICS, METRICS)
    with pytest.raises(ConflictError, match="'m' decides own_metrics for the same agents as 'm2'"):
        put(database, replace(METRICS, name="m2"))
    put(database, replace(METRICS, name="m2", selector={"ring": "a"}), Setting("l", Kind.LOGS))


def test_a_setting_keeps_what_it_is_for(database: Database) -> None:
    """A name that means metrics does not come to mean logs."""
    put(database, METRICS)
    with pytest.raises(ConflictError, match="is for own_metrics, not for own_logs"):
        put(database, Setting("m", Kind.LOGS))


def test_equal_agents_share_one_value(database: Database) -> None:
    """Labels and capabilities decide, and nothing else of an agent; no labels match no setting."""
    made = board(database, replace(METRICS, selector={"ring": "a"}))
    one, two = made.connections_for(agent(ring="a")), made.connections_for(agent(ring="a", zone="z"))
    assert one is made.connections_for(agent(ring="a"))
    assert one == two
    assert one is not None
    assert one.telemetry == {Signal.METRICS: OTLP}
    assert made.connections_for(agent()) is None
    assert (
        ConnectionBoard(database, SEAL, lambda _: None, lambda _: True).connections_for(agent(ring="a"))
        is None
    )


def test_an_agent_behind_a_gateway_is_decided_for_itself(database: Database) -> None:
    """Agents that differ in nothing but their gateway do not share what they are told."""
    put(database, METRICS, Setting("beat", Kind.OPAMP, heartbeat_seconds=5))
    gateways: dict[AgentId, AgentId] = {}
    made = ConnectionBoard(database, SEAL, gateways.get, lambda _: True)
    made.reload()
    able = agent(Capability.REPORTS_OWN_METRICS | Capability.ACCEPTS_CONNECTION_SETTINGS)
    before = made.connections_for(able)
    gateways[AgentId(able.uid)] = AgentId(uuid.UUID(int=9))
    after = made.connections_for(able)
    assert before is not None
    assert after is not None
    assert (before.heartbeat_seconds, after.heartbeat_seconds) == (5, None)
    assert before.telemetry == after.telemetry


def test_a_change_shows_after_a_reload(database: Database) -> None:
    """What was decided before is forgotten then."""
    made = board(database, METRICS)
    before = made.connections_for(agent())
    put(database, Setting("m", Kind.METRICS))
    assert made.connections_for(agent()) is before
    made.reload()
    after = made.connections_for(agent())
    assert after is not None
    assert after.telemetry == {Signal.METRICS: None}


def test_many_kinds_of_agents_are_not_all_remembered(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the most, everything is decided anew; the answers stay right."""
    monkeypatch.setattr(connections, "_KINDS_MAX", 2)
    made = board(database, METRICS)
    for number in range(5):
        found = made.connections_for(agent(host=str(number)))
        assert found is not None
        assert found.origin == "m"
    assert len(made._board._found) <= 2


def test_why_nothing_is_offered_is_said(database: Database) -> None:
    """An agent that accepts nothing of it, and a tie, each have their words."""
    made = board(
        database,
        replace(METRICS, selector={"ring": "a"}),
        replace(METRICS, name="m2", selector={"zone": "z"}),
    )
    with pytest.raises(PolicyError, match=r"settings for it \(m\) is told: m \(own_metrics\)"):
        made.connections_for(agent(Capability.REPORTS_OWN_LOGS, ring="a"))
    with pytest.raises(PolicyError, match="agent has not said yet what it accepts"):
        made.connections_for(agent(Capability.NONE, ring="a"))
    with pytest.raises(PolicyError, match="'m' and 'm2' both decide own_metrics"):
        made.connections_for(agent(ring="a", zone="z"))


def test_a_heartbeat_of_its_own(database: Database) -> None:
    """By its labels and what it can do; none where nothing is decided, or nothing can be."""
    beat = Setting("b", Kind.OPAMP, {"ring": "a"}, heartbeat_seconds=300)
    made = board(database, beat, replace(METRICS, selector={"ring": "b"}))
    able = Capability.ACCEPTS_CONNECTION_SETTINGS | Capability.REPORTS_OWN_METRICS
    found = [made.own_beat(agent(able, ring=ring)) for ring in ("a", "b", "c")]
    assert found == [timedelta(minutes=5), None, None]
    assert made.own_beat(agent(Capability.REPORTS_STATUS, ring="a")) is None


def test_a_lost_seal_stops_offers_and_nothing_else(database: Database) -> None:
    """The reload does not fail; every agent's problem names the seal."""
    put(database, METRICS)
    made = ConnectionBoard(
        database, Seal([new_seal_key().strip()], "file:/seal.key"), lambda _: None, lambda _: True
    )
    made.reload()
    with pytest.raises(PolicyError, match=r"cannot be read: seal 'file:/seal.key' does not open"):
        made.connections_for(agent())
