"""Clients on bearer tokens: an operator gives each its next token, and ends the one before."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from distribution.demo.cluster import Cluster
from tests.interop.kube_cluster import KubeCluster
from tests.interop.matrix import Client, Column, saw
from tests.interop.programs import Program
from tests.interop.strangers import Stranger, bridge_agent, java_agent, node_agent, stranger

STARTS: dict[str, tuple[Client, Callable[[Stranger, KubeCluster], Program]]] = {
    "bridge": (Client.BRIDGE, bridge_agent),
    "node": (Client.NODE, lambda agent, _: node_agent(agent)),
    "java-ws": (Client.JAVA, lambda agent, _: java_agent(agent, "ws")),
    "java-http": (Client.JAVA, lambda agent, _: java_agent(agent, "http")),
}


@pytest.mark.parametrize("name", STARTS)
def test_the_next_token_replaces_the_one_before(
    world: Cluster, kube: KubeCluster, tmp_path: Path, name: str
) -> None:
    """Started with its next token it is the same agent; the token before it, once ended, lets nobody in."""
    client, start = STARTS[name]
    before = stranger(world, tmp_path)
    after = replace(before, token=before.another_token())
    with start(before, kube) as program:
        before.until_connected(program)
    with start(after, kube) as program:
        after.until_connected(program)
        after.end_token(before.token)
        seen = after.row()["last_seen"]
        after.until("the next beat", lambda row: row["last_seen"] != seen or None, program)
        assert after.row()["connected"]
    with start(before, kube) as program:
        program.wait_for_text("401")
    saw(client, Column.ROTATION, "an operator's next token, then a new start; the token before it is ended")
