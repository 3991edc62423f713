"""Remote configurations with agents on opamp-go: applied, refused and tried again, claimed falsely."""

import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.processes import wait_for
from tests.interop import matrix
from tests.interop.go_agent import LIBRARIES, GoAgent, Library, enrolled, row_of
from tests.interop.matrix import Column
from tests.interop.orders import PATIENCE_SECONDS, Configuration, configured, label

GOOD = "receivers: {nop: }\nexporters: {otlphttp: {headers: {authorization: Bearer hunter3}}}\n"
APPLIED = "RemoteConfigStatuses_APPLIED"
FAILED = "RemoteConfigStatuses_FAILED"


@pytest.fixture(scope="module", params=LIBRARIES, ids=lambda library: str(library.client))
def agent(
    request: pytest.FixtureRequest, world: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> GoAgent:
    """An enrolled agent that a configuration is chosen for by a label of its own."""
    library: Library = request.param
    agent = enrolled(world, library, tmp_path_factory.mktemp("agent"))
    label(world, agent.uid)
    return agent


@pytest.fixture
def configuration(world: Cluster, agent: GoAgent) -> Configuration:
    """The agent's configuration; each test adds versions to it."""
    return Configuration(world, agent.uid)


def test_its_effective_configuration_is_kept_without_secrets(world: Cluster, agent: GoAgent) -> None:
    """What it runs by is at the server, and the token in it is nowhere."""
    with agent.running("effective.log") as program:
        program.wait_for_event("effective_asked")
        path = f"/api/v1/agents/{agent.uid}/configuration"
        found = wait_for("it", lambda: world.get(path)["effective"], PATIENCE_SECONDS, program.text)
        [one] = found["objects"]
        assert one["key"] == ""
        assert "receivers" in one["body"]
        assert "token" in one["body"]
        assert "hunter2" not in str(found) + str(row_of(world, agent.uid))
    matrix.saw(agent.library.client, Column.EFFECTIVE, "kept and shown, secrets taken out")


def test_a_good_one_is_applied(world: Cluster, agent: GoAgent, configuration: Configuration) -> None:
    """It gets the text and its type, once; applied is said when its effective configuration shows it."""
    with agent.running("good.log") as program:
        configuration.assign(configuration.write(GOOD, secret=True))
        told = program.wait_for_event("remote_config")
        assert told["objects"][""]["body"] == GOOD
        assert told["objects"][""]["content_type"] == "text/yaml"
        found = configured(world, agent.uid, "applied", program)
        assert found["differences"] == []
        assert "hunter3" not in str(found)
        assert program.count("remote_config") == 1
    matrix.saw(
        agent.library.client, Column.CONFIG_GOOD, "text and type told once; applied, and seen to be run"
    )


def test_a_refused_one_comes_again(world: Cluster, agent: GoAgent, configuration: Configuration) -> None:
    """What it refused is failed in its words, and comes again with another hash; a command goes back."""
    with agent.running("bad.log") as program:
        configuration.assign(configuration.write("# agent: refuse once\nreceivers: {otlp: }\n"))
        program.wait_for_event("remote_config_status", lambda one: one["status"] == FAILED)
        assert "refuse this configuration" in configured(world, agent.uid, "failed", program)["why"]
        told = program.wait_for_event("remote_config_status", lambda one: one["status"] == FAILED)
        again = program.wait_for_event(
            "remote_config_status",
            lambda one: one["status"] == APPLIED and one["hash"][:64] == told["hash"][:64],
        )
        assert again["hash"] != told["hash"]
        configured(world, agent.uid, "applied", program)
        configuration.back()
        configured(world, agent.uid, "applied", program)
        last = [one for one in program.events() if one["event"] == "remote_config"][-1]
        assert last["objects"][""]["body"] == GOOD
    matrix.saw(
        agent.library.client, Column.CONFIG_BAD, "failed in its own words, then again under another hash"
    )


def test_a_claim_is_not_believed(world: Cluster, agent: GoAgent, configuration: Configuration) -> None:
    """An agent that says applied and runs something else is told from one that runs what it was told."""
    with agent.running("claim.log") as program:
        configuration.assign(configuration.write("# agent: pretend\nprocessors: {batch: }\n"))
        program.wait_for_event("remote_config_status", lambda one: one["status"] == APPLIED)
        assert "processors" in configured(world, agent.uid, "untrue", program)["why"]
    matrix.saw(agent.library.client, Column.CONFIG_BAD, "applied is not believed against its effective one")
