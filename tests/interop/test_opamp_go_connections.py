"""Connection settings of every kind reach agents on opamp-go, once; what was refused comes again."""

import pytest

from distribution.demo.cluster import Cluster
from tests.interop import matrix
from tests.interop.go_agent import LIBRARIES, GoAgent, Library, enrolled, row_of
from tests.interop.matrix import Column
from tests.interop.orders import equipped, label, setting

APPLIED = "ConnectionSettingsStatuses_APPLIED"
FAILED = "ConnectionSettingsStatuses_FAILED"


@pytest.fixture(scope="module", params=LIBRARIES, ids=lambda library: str(library.client))
def agent(
    request: pytest.FixtureRequest, world: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> GoAgent:
    """An enrolled agent that settings are chosen for by a label of its own."""
    library: Library = request.param
    agent = enrolled(world, library, tmp_path_factory.mktemp("agent"))
    label(world, agent.uid)
    return agent


def test_a_heartbeat_is_set(world: Cluster, agent: GoAgent) -> None:
    """It is told a full snapshot with its own certificate and no key, once; it says APPLIED and stays."""
    with (
        agent.running("heartbeat.log") as program,
        setting(world, agent.uid, "opamp", heartbeat_seconds=2),
    ):
        told = program.wait_for_event("connection_settings")
        assert told["heartbeat"] == 2
        assert told["endpoint"].startswith({"ws": "wss:", "http": "https:"}[agent.library.transport])
        assert (told["certificate"], told["private_key"], told["tls_ca"]) == (True, False, True)
        equipped(world, agent.uid, "applied", program)
        assert program.count("connection_offer") == 1
        assert program.count("starting_again") == 0
    matrix.saw(agent.library.client, Column.CONNECTION, "a full snapshot, once a hash; APPLIED")


def test_a_refused_offer_comes_again(world: Cluster, agent: GoAgent) -> None:
    """What it refused is FAILED in its own words, and offered again under another hash, after a while."""
    with (
        agent.running("refused.log", "-refuse", "1") as program,
        setting(world, agent.uid, "opamp", heartbeat_seconds=3),
    ):
        program.wait_for_event("connection_status", lambda one: one["status"] == FAILED)
        assert "told to refuse" in equipped(world, agent.uid, "failed", program)["error"]
        program.wait_for_event("connection_status", lambda one: one["status"] == APPLIED)
        equipped(world, agent.uid, "applied", program)
        offers = [one["hash"] for one in program.events() if one["event"] == "connection_offer"]
        assert len(offers) == len(set(offers)) == 2
    matrix.saw(
        agent.library.client, Column.CONNECTION, "FAILED in its own words, then again under another hash"
    )


def test_own_telemetry_is_told_whole(world: Cluster, agent: GoAgent) -> None:
    """It is told all three signals, those that are off as well, with headers and trust."""
    wanted = {
        "endpoint": "https://otlp.example:4318/v1/metrics",
        "headers": {"authorization": "Bearer abc"},
        "ca_pem": (agent.folder / "ca.pem").read_text(encoding="utf-8"),
    }
    with (
        agent.running("telemetry.log") as program,
        setting(world, agent.uid, "own_metrics", **wanted),
    ):
        told = program.wait_for_event("telemetry_settings")
        assert told["metrics"]["endpoint"] == "https://otlp.example:4318/v1/metrics"
        assert told["metrics"]["headers"] == {"authorization": "Bearer abc"}
        assert told["metrics"]["ca"] is True
        assert (told["traces"]["endpoint"], told["logs"]["endpoint"]) == ("", "")
        equipped(world, agent.uid, "applied", program)
        row = row_of(world, agent.uid)
        assert "Bearer abc" not in str(row)
    matrix.saw(
        agent.library.client, Column.TELEMETRY, "all three signals told, with headers and trust; APPLIED"
    )


def test_another_connection_is_told(world: Cluster, agent: GoAgent) -> None:
    """Another connection reaches it under the name it knows, with its settings."""
    wanted = {
        "connection": "backend",
        "endpoint": "https://backend.example",
        "settings": {"queue": "large"},
    }
    with agent.running("other.log") as program, setting(world, agent.uid, "other", **wanted):
        told = program.wait_for_event("telemetry_settings")
        assert told["other"] == {
            "backend": {"endpoint": "https://backend.example", "other": {"queue": "large"}}
        }
        equipped(world, agent.uid, "applied", program)
    matrix.saw(agent.library.client, Column.CONNECTION, "another connection by its name, with its settings")
