"""What the Kubernetes operator's bridge says and when, and what it makes of offers that ours never makes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from opamp.v1 import opamp_pb2

from tests.interop import world_parts
from tests.interop.certificates import make_server_files
from tests.interop.kube_cluster import COLLECTORS, MANAGED, NAME, Bridge, KubeCluster, collector
from tests.interop.parts import require
from tests.interop.programs import Program
from tests.interop.scripted_server import Said, ScriptedServer, Visit, heard, scripted_server, until

KEY = f"default/{NAME}"
OBJECT = f"{COLLECTORS}/{NAME}"
INSTRUMENTATIONS = "/apis/opentelemetry.io/v1alpha1/namespaces/default/instrumentations"
BEATS = 2
FULL_STATE = opamp_pb2.ServerToAgentFlags_ReportFullState


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedServer]:
    """A server of the tests."""
    with scripted_server(tmp_path / "server", make_server_files(tmp_path)) as running:
        yield running


@pytest.fixture
def bridge(server: ScriptedServer, tmp_path: Path) -> Bridge:
    """A bridge that speaks to that server."""
    return Bridge(tmp_path, server.url, "token.of-nobody", server.ca)


def offer(config_hash: bytes, body: dict[str, object]) -> opamp_pb2.ServerToAgent:
    """Return an offer of the one object."""
    message = opamp_pb2.ServerToAgent()
    message.remote_config.config_hash = config_hash
    one = message.remote_config.config.config_map[KEY]
    one.body, one.content_type = json.dumps(body).encode(), "yaml"
    return message


def beats(visit: Visit, program: Program) -> list[Said]:
    """Wait until several more messages were said in a visit, and return those."""
    so_far = len(visit.said)
    until("several beats", lambda: len(visit.said) >= so_far + BEATS or None, program)
    return visit.said[so_far:]


def test_its_objects_are_told_now_and_then(kube: KubeCluster, server: ScriptedServer, bridge: Bridge) -> None:
    """When it connects, when it is asked, and when it applied something; its beats hold its health alone."""
    with bridge.start(kube.kubeconfig, "bridge.log") as program:
        visit = server.visit(1, program)
        first = heard(visit, "effective_config", program)
        assert (first.sequence_num, list(first.effective_config.config_map.config_map)) == (0, [KEY])
        assert {one.HasField("health") for one in beats(visit, program)} == {True}
        assert [one for one in visit.said[1:] if one.HasField("effective_config")] == []
        so_far = len(visit.said)
        visit.say(opamp_pb2.ServerToAgent(flags=FULL_STATE))
        asked = heard(visit, "effective_config", program, so_far)
        assert asked.HasField("agent_description")
        so_far = len(visit.said)
        visit.say(offer(b"detailed", collector(NAME, verbosity="detailed")))
        applied = heard(visit, "effective_config", program, so_far)
        assert b"detailed" in applied.effective_config.config_map.config_map[KEY].body


def test_it_comes_back_without_its_health(kube: KubeCluster, server: ScriptedServer, bridge: Bridge) -> None:
    """The first message after a lost connection has everything but that; the next beat has it."""
    seldom = replace(
        bridge, heartbeat="5s"
    )  # what is due while it is not connected would come with the first
    with seldom.start(kube.kubeconfig, "bridge.log") as program:
        first = server.visit(1, program)
        assert first.said[0].HasField("health")
        first.connection.close()
        again = server.visit(2, program)
        assert again.said[0].HasField("effective_config")
        assert not again.said[0].HasField("health")
        heard(again, "health", program)


def test_an_empty_hash_is_applied_and_not_told(
    kube: KubeCluster, server: ScriptedServer, bridge: Bridge
) -> None:
    """After another offer the object is written, and no word says so; the next hash is acknowledged."""
    with bridge.start(kube.kubeconfig, "bridge.log") as program:
        visit = server.visit(1, program)
        visit.say(offer(b"detailed", collector(NAME, verbosity="detailed")))
        heard(visit, "effective_config", program, 1)
        so_far = len(visit.said)
        visit.say(offer(b"", collector(NAME, verbosity="normal")))
        until("the object", lambda: verbosity(kube) == "normal" or None, program)
        beats(visit, program)
        visit.say(offer(b"basic", collector(NAME)))
        status = heard(visit, "remote_config_status", program, so_far).remote_config_status
        assert (status.last_remote_config_hash, verbosity(kube)) == (b"basic", "basic")


def test_a_new_uid_is_its_own_until_it_ends(
    kube: KubeCluster, server: ScriptedServer, bridge: Bridge
) -> None:
    """It makes up one of version 7, and gives it up for the one it is told; started again it has another."""
    told = uuid4().bytes
    with bridge.start(kube.kubeconfig, "first.log") as program:
        visit = server.visit(1, program)
        own = visit.said[0].instance_uid
        visit.say(
            opamp_pb2.ServerToAgent(agent_identification=opamp_pb2.AgentIdentification(new_instance_uid=told))
        )
        until("its new uid", lambda: visit.said[-1].instance_uid == told or None, program)
        visit.connection.close()
        assert server.visit(2, program).said[0].instance_uid == told
    with bridge.start(kube.kubeconfig, "second.log") as program:
        another = server.visit(3, program).said[0].instance_uid
    assert len({own, told, another}) == 3
    assert [UUID(bytes=one).version for one in (own, another)] == [7, 7]


def test_instrumentations_are_not_told(kube: KubeCluster, server: ScriptedServer, bridge: Bridge) -> None:
    """An object of that kind that it might manage is beside the collector, and in no report."""
    kube.define(require(world_parts.BRIDGE).parent / "crds" / "opentelemetry.io_instrumentations.yaml")
    with bridge.start(kube.kubeconfig, "bridge.log") as program:
        until("the kind", lambda: kube.answers(INSTRUMENTATIONS) or None, program)
        visit = server.visit(1, program)
        kube.create(
            INSTRUMENTATIONS,
            {
                "apiVersion": "opentelemetry.io/v1alpha1",
                "kind": "Instrumentation",
                "metadata": {"name": "traced", "labels": MANAGED},
                "spec": {"exporter": {"endpoint": "http://nowhere.example:4317"}},
            },
        )
        so_far = len(visit.said)
        visit.say(opamp_pb2.ServerToAgent(flags=FULL_STATE))
        told = heard(visit, "effective_config", program, so_far).effective_config.config_map
        assert list(told.config_map) == [KEY]
    kube.delete(f"{INSTRUMENTATIONS}/traced")


def test_an_object_says_how_it_is_upgraded(kube: KubeCluster, server: ScriptedServer, bridge: Bridge) -> None:
    """Where no webhook of the operator fills it in, an object without it is refused by the API server."""
    body = collector(NAME)
    del body["spec"]["upgradeStrategy"]
    with bridge.start(kube.kubeconfig, "bridge.log") as program:
        visit = server.visit(1, program)
        so_far = len(visit.said)
        visit.say(offer(b"without", body))
        status = heard(visit, "remote_config_status", program, so_far).remote_config_status
        assert status.status == opamp_pb2.RemoteConfigStatuses_FAILED
        assert "spec.upgradeStrategy" in status.error_message


def verbosity(kube: KubeCluster) -> str:
    """Return the one setting that these tests change, as the API server has it."""
    found: str = kube.get(OBJECT)["spec"]["config"]["exporters"]["debug"]["verbosity"]
    return found
