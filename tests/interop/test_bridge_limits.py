"""What the Kubernetes operator's bridge says it can and cannot, and what ends it."""

import http
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.processes import wait_for
from tests.interop.kube_cluster import COLLECTORS, NAME, Bridge, KubeCluster, collector
from tests.interop.matrix import Client, Column, cannot, saw
from tests.interop.orders import restart, told
from tests.interop.programs import Program
from tests.interop.strangers import PATIENCE_SECONDS, Row, Stranger, stranger

KEY = f"default/{NAME}"
OBJECT = f"{COLLECTORS}/{NAME}"
BEATS = 3


@pytest.fixture
def agent(world: Cluster, tmp_path: Path) -> Stranger:
    """An agent with a bearer token."""
    return stranger(world, tmp_path)


@pytest.fixture
def bridge(agent: Stranger) -> Bridge:
    """The bridge that holds this agent's token."""
    return Bridge(agent.folder, agent.url("wss"), agent.token, agent.ca)


def test_with_packages_it_does_not_start(kube: KubeCluster, bridge: Bridge) -> None:
    """Its configuration takes the capabilities of packages, and its library then ends it."""
    with bridge.start(kube.kubeconfig, "bridge.log", "AcceptsPackages", "ReportsPackageStatuses") as program:
        program.wait_for_text("PackagesStateProvider must be set")
    cannot(
        Client.BRIDGE, Column.PACKAGES, "with these capabilities it ends: PackagesStateProvider must be set"
    )


def test_connection_settings_change_nothing(kube: KubeCluster, agent: Stranger, bridge: Bridge) -> None:
    """On a token and without a word of settings it is told nothing of its connection, and why is shown."""
    with bridge.start(kube.kubeconfig, "bridge.log", "AcceptsOpAMPConnectionSettings") as program:
        row = agent.until_connected(program)
        assert "accepts_connection_settings" in row["capabilities"]
        pace = {"kind": "opamp", "heartbeat_seconds": 600, "selector": agent.labels}
        agent.ask("PUT", "connections/pace-of-the-bridge", pace)
        until_heard_often(agent, program)
        assert agent.row()["connections"] is None
        why = agent.cluster.get(f"/api/v1/agents/{agent.uid}/explain")["why"]
        assert any(
            "it has no certificate and reports no status of connection settings" in line for line in why
        )
    cannot(
        Client.BRIDGE,
        Column.CONNECTION,
        "has no certificate and reports no status of settings, and is told nothing of its connection",
    )


def test_a_restart_changes_nothing(kube: KubeCluster, agent: Stranger, bridge: Bridge) -> None:
    """Ordered to restart, which it says it accepts, it is told once and goes on as the process it was."""
    with bridge.start(kube.kubeconfig, "bridge.log", "AcceptsRestartCommand") as program:
        before = agent.until_connected(program)
        assert "accepts_restart" in before["capabilities"]
        restart(agent.cluster, agent.uid)
        agent.until("the command", lambda _: told(agent.cluster, agent.uid, "restart") or None, program)
        until_heard_often(agent, program)
        after = agent.row()["identifying"]["service.instance.id"]
        assert after == before["identifying"]["service.instance.id"]
        assert told(agent.cluster, agent.uid, "restart") == 1
        assert told(agent.cluster, agent.uid, "greeting") == 1
    cannot(
        Client.BRIDGE,
        Column.RESTART,
        "with the capability it takes the command, once, and goes on: the same connection and instance uid",
    )


def test_it_allows_some_components_only(kube: KubeCluster, agent: Stranger, bridge: Bridge) -> None:
    """What is not allowed fails in its words; a body without processors ends it, and going back mends it."""
    processors: dict[str, Any] = {"processors": {"batch": {}}}
    allowed = {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["debug"]}
    strict = replace(bridge, allowed=allowed)
    good = {KEY: (json.dumps(collector(NAME, verbosity="detailed", **processors)), "yaml")}
    with strict.start(kube.kubeconfig, "strict.log") as program:
        agent.until_connected(program)
        agent.configure(good)
        agent.until_configured("applied", "", program)
        agent.configure({KEY: (json.dumps(collector(NAME, **processors, exporters={"nop": {}})), "yaml")})
        agent.until_configured("failed", "exporters.nop", program)
        agent.configure({KEY: (json.dumps(collector(NAME)), "yaml")})
        wait_for("its end", program.gone, PATIENCE_SECONDS, program.text)
        assert "nil pointer dereference" in program.text()
        assert agent.configuration()["standing"] != "applied"
    assert kube.get(OBJECT)["spec"]["config"]["exporters"]["debug"]["verbosity"] == "detailed"
    agent.configure(good)
    with strict.start(kube.kubeconfig, "again.log") as program:
        agent.until_connected(program)
        agent.until_configured("applied", "", program)
    saw(
        Client.BRIDGE,
        Column.CONFIG_BAD,
        "with componentsAllowed: FAILED by the name of what is not allowed; it ends over a body without "
        "processors, and applies what comes after",
    )


def test_what_has_no_name_is_not_believed(kube: KubeCluster, agent: Stranger, bridge: Bridge) -> None:
    """It passes over an object under the empty key and says APPLIED; that it runs something else is seen."""
    with bridge.start(kube.kubeconfig, "nameless.log") as program:
        agent.until_connected(program)
        agent.configure({"": (json.dumps(collector(NAME, verbosity="nonsense")), "yaml")})
        agent.until_configured("untrue", "verbosity", program)
        assert agent.row()["config"]["state"] == "applied"
    saw(
        Client.BRIDGE,
        Column.CONFIG_BAD,
        "an object under the empty key is passed over and said to be applied, which is not believed",
    )


def test_what_it_loses_is_asked_for(kube: KubeCluster, agent: Stranger) -> None:
    """A beat that is answered with 500 is gone; the gap makes the server ask for everything, once."""
    with agent.on_the_way() as (late, way):
        bridge = Bridge(late.folder, late.url("https"), late.token, late.ca)
        with bridge.start(kube.kubeconfig, "lost.log") as program:
            agent.until("its object", lambda _: agent.effective().get(KEY), program)
            before = told(agent.cluster, agent.uid, "report_full_state")
            way.answer(http.HTTPStatus.INTERNAL_SERVER_ERROR)

            def asked(_: Row) -> bool | None:
                return told(agent.cluster, agent.uid, "report_full_state") > before or None

            agent.until("the question", asked, program)
            until_heard_often(agent, program)
            assert told(agent.cluster, agent.uid, "report_full_state") == before + 1
            [lost] = way.answered(http.HTTPStatus.INTERNAL_SERVER_ERROR)
            assert [one for one in way.answered(http.HTTPStatus.OK) if one.body == lost.body] == []


def until_heard_often(agent: Stranger, program: Program) -> None:
    """Wait until the server has heard several more beats of a bridge."""
    heard: set[str] = set()

    def often(row: Row) -> bool | None:
        heard.add(row["last_seen"])
        return True if len(heard) > BEATS else None

    agent.until("several beats", often, program)
