"""The Kubernetes operator's bridge on a real API server, with this server.

It presents no certificate, so it comes with a bearer token; it takes a new instance uid at each start, so
that the token alone says which agent it is.
"""

import json
import os
from pathlib import Path

import httpx
import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.processes import wait_for
from tests.interop.kube_cluster import (
    COLLECTORS,
    NAME,
    PODS,
    Bridge,
    KubeCluster,
    add_pod,
    collector,
    write_kubeconfig,
)
from tests.interop.matrix import Client, Column, saw
from tests.interop.otlp_sink import otlp_sink
from tests.interop.programs import free_port
from tests.interop.strangers import PATIENCE_SECONDS, Row, Stranger, stranger

KEY = f"default/{NAME}"
OBJECT = f"{COLLECTORS}/{NAME}"
STORM_SECONDS = 90.0
STORM_TRIES = 40
CPU_PER_TRY_SECONDS = 0.008
"""Of which the TLS handshake is the most; several times what was measured."""

STORM_MAX_BYTES = 32 << 20


@pytest.fixture
def agent(world: Cluster, tmp_path: Path) -> Stranger:
    """An agent with a bearer token."""
    return stranger(world, tmp_path)


@pytest.fixture
def bridge(agent: Stranger) -> Bridge:
    """The bridge that holds this agent's token."""
    return Bridge(agent.folder, agent.url("wss"), agent.token, agent.ca)


@pytest.mark.parametrize("scheme", ["wss", "https"])
def test_it_reports(kube: KubeCluster, agent: Stranger, scheme: str) -> None:
    """It is the token's agent, with a description and the whole object as its effective configuration."""
    bridge = Bridge(agent.folder, agent.url(scheme), agent.token, agent.ca)
    with bridge.start(kube.kubeconfig, "bridge.log") as program:
        row = agent.until_connected(program)
        assert row["identifying"]["service.name"] == "io.opentelemetry.operator-opamp-bridge"
        assert row["attributes"]["team"] == "edge"
        assert row["identifying"]["service.instance.id"] != agent.uid
        saw(Client.BRIDGE, Column.STATUS, f"heard every second with a bearer token, {scheme}")
        saw(
            Client.BRIDGE,
            Column.DESCRIPTION,
            "type, version and what its configuration adds; its uid is the token's",
        )
        body = agent.until("its object", lambda _: agent.effective().get(KEY), program)
        assert f"  name: {NAME}\n" in body
        saw(Client.BRIDGE, Column.EFFECTIVE, "the whole object under namespace/name")


def test_its_health_is_a_tree(kube: KubeCluster, agent: Stranger, bridge: Bridge) -> None:
    """A pod that does not run makes its collector unhealthy, and the bridge stays healthy; then it runs."""
    add_pod(kube, NAME, "edge-0")
    pod = f"{PODS}/edge-0"

    def tree(row: Row) -> list[bool]:
        """Return who is healthy: the bridge, its collector, the collector's pod."""
        found, healthy = row["health"] or {}, []
        for name in (KEY, "default/edge-0", ""):
            healthy.append(bool(found.get("healthy")))
            found = found.get("components", {}).get(name, {})
        return healthy

    with bridge.start(kube.kubeconfig, "bridge.log") as program:
        agent.until("an unhealthy pod", lambda row: tree(row) == [True, False, False] or None, program)
        kube.merge(f"{pod}/status", {"status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}})
        agent.until("a healthy pod", lambda row: tree(row) == [True, True, True] or None, program)
    kube.delete(pod)
    saw(Client.BRIDGE, Column.HEALTH, "a tree: the bridge, each collector, each of its pods")


def test_it_applies_what_it_is_told(kube: KubeCluster, agent: Stranger, bridge: Bridge) -> None:
    """A new configuration is written into the API server, and what the bridge then reports agrees with it."""
    with bridge.start(kube.kubeconfig, "bridge.log") as program:
        agent.until_connected(program)
        agent.configure({KEY: (json.dumps(collector(NAME, verbosity="detailed")), "yaml")})
        agent.until_configured("applied", "", program)
        assert verbosity(kube) == "detailed"
        saw(
            Client.BRIDGE,
            Column.CONFIG_GOOD,
            "the object is changed in the API server; the effective one agrees",
        )
        agent.configure({KEY: (json.dumps(collector(NAME, mode="nonsense")), "yaml")})
        agent.until_configured("failed", "nonsense", program)
        assert verbosity(kube) == "detailed"
        saw(
            Client.BRIDGE, Column.CONFIG_BAD, "FAILED with the API server's words; the object stays as it was"
        )
        agent.configure({KEY: (json.dumps(collector(NAME, verbosity="normal")), "yaml")})
        agent.until_configured("applied", "", program)
        assert verbosity(kube) == "normal"


def test_what_it_refused_is_offered_again(kube: KubeCluster, agent: Stranger, bridge: Bridge) -> None:
    """It passes over a hash that it has seen, even after a failure; the next try has another one."""
    with bridge.start(kube.kubeconfig, "bridge.log") as program:
        agent.until_connected(program)
        agent.configure({KEY: (json.dumps(collector(NAME, labels={})), "yaml")})
        agent.until_configured("failed", "opamp-managed", program)
        first = agent.row()["config"]["hash"]
        agent.until("another try", lambda row: row["config"]["hash"] != first or None, program)
        assert program.text().count("Received new config") > 1


def test_a_bad_object_harms_no_other(kube: KubeCluster, agent: Stranger, bridge: Bridge) -> None:
    """It deletes what it applied and is not told of any more; so it is always told of everything."""
    good, other = (json.dumps(collector(NAME, verbosity="basic")), "yaml"), f"{COLLECTORS}/other"
    with bridge.start(kube.kubeconfig, "bridge.log") as program:
        agent.until_connected(program)
        agent.configure({KEY: good, "default/other": (json.dumps(collector("other")), "yaml")})
        agent.until_configured("applied", "", program)
        agent.configure({KEY: good, "default/other": (json.dumps(collector("other", mode="none")), "yaml")})
        agent.until_configured("failed", "none", program)
        assert kube.answers(OBJECT)
        assert kube.answers(other)
        agent.configure({KEY: good})
        agent.until_configured("applied", "", program)
        assert kube.answers(OBJECT)
        assert not kube.answers(other)


def test_its_own_metrics_arrive(kube: KubeCluster, agent: Stranger, bridge: Bridge, tmp_path: Path) -> None:
    """Told where its own metrics go, it sends them there over TLS, with the header it was given."""
    with otlp_sink(tmp_path / "sink") as sink:
        both = tmp_path / "both.pem"
        both.write_text(agent.ca.read_text("utf-8") + sink.ca.read_text("utf-8"), encoding="utf-8")
        where = {
            "kind": "own_metrics",
            "endpoint": f"{sink.url}/v1/metrics",
            "headers": {"x-tenant": "edge"},
            "ca_pem": sink.ca.read_text("utf-8"),
            "selector": agent.labels,
        }
        trusting = Bridge(bridge.folder, bridge.url, bridge.token, both)
        with trusting.start(kube.kubeconfig, "bridge.log", "ReportsOwnMetrics") as program:
            agent.until_connected(program)
            agent.ask("PUT", "connections/metrics-of-the-bridge", where)
            headers, body = wait_for(
                "its metrics",
                lambda: next(iter(sink.received("/v1/metrics")), None),
                PATIENCE_SECONDS,
                program.text,
            )
    assert headers["x-tenant"] == "edge"
    assert b"process.cpu.time" in body
    assert agent.uid.encode() in body
    saw(Client.BRIDGE, Column.TELEMETRY, "its own metrics, over OTLP and TLS; it has no logs or traces")


def test_a_new_start_is_the_same_agent(kube: KubeCluster, agent: Stranger, bridge: Bridge) -> None:
    """Started again, with another instance uid of its own, it is the agent that it was."""
    reported = set()
    for log in ("first.log", "second.log"):
        with bridge.start(kube.kubeconfig, log) as program:
            reported.add(agent.until_connected(program)["identifying"]["service.instance.id"])
        agent.until_gone(program)
    assert len(reported) == 2

    def listed() -> set[str] | None:
        found = {one["uid"] for one in agent.cluster.get("/api/v1/agents", limit="1000")["agents"]}
        return found if agent.uid in found else None

    assert not wait_for("the agent's row", listed, PATIENCE_SECONDS) & reported


def test_revoked_it_is_out(kube: KubeCluster, agent: Stranger, bridge: Bridge) -> None:
    """Its connection is cut while it stands, and it is refused when it comes again."""
    with bridge.start(kube.kubeconfig, "bridge.log") as program:
        agent.until_connected(program)
        assert agent.revoke()["connections_cut"] == 1
        agent.until_gone(program)
        program.wait_for_text("401")
    saw(
        Client.BRIDGE,
        Column.REVOCATION,
        "the live connection is cut, and it is refused with 401 from then on",
    )


def test_without_its_api_server_it_costs_next_to_nothing(agent: Stranger, bridge: Bridge) -> None:
    """It connects and closes without a word, a hundred times a second at first; the server hardly notices."""
    nobody = write_kubeconfig(agent.folder / "nobody", f"https://localhost:{free_port()}", agent.ca, "none")
    server = agent.cluster.server.pid
    before, small = cpu_seconds(server), resident_bytes(server)
    with bridge.start(nobody, "bridge.log") as program:

        def tries() -> int | None:
            count = program.text().count("cannot prepare the first message")
            return count if count >= STORM_TRIES else None

        wait_for("a storm", tries, STORM_SECONDS, program.text)
        spent = cpu_seconds(server) - before
        count = tries() or 0  # with those that came while the waiting was at its end
        assert spent < count * CPU_PER_TRY_SECONDS
        assert resident_bytes(server) - small < STORM_MAX_BYTES
        assert agent.cluster.api().get("/readyz").status_code == httpx.codes.OK
    agent.until_gone(program)


def verbosity(kube: KubeCluster) -> str:
    """Return the one setting that these tests change, as the API server has it."""
    found: str = kube.get(OBJECT)["spec"]["config"]["exporters"]["debug"]["verbosity"]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Return how much memory a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
