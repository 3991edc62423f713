"""Clients that others wrote, over one restart of the server: each comes back as the agent that it was."""

from contextlib import ExitStack
from pathlib import Path

from distribution.demo.cluster import Cluster
from tests.interop.fleet import start_server_again
from tests.interop.kube_cluster import KubeCluster
from tests.interop.matrix import Client, Column, saw
from tests.interop.strangers import Stranger, bridge_agent, java_agent, node_agent, stranger

SEEN = {
    "bridge": (Client.BRIDGE, "by itself, with everything it reports, as the same agent"),
    "java-ws": (
        Client.JAVA,
        "by itself over WebSocket, if its program has OkHttp send pings: the library answers no close frame",
    ),
    "java-http": (Client.JAVA, "by itself over HTTP"),
    "node": (Client.NODE, "by itself, half a minute after its first failure"),
}


def an_agent(world: Cluster, folder: Path) -> Stranger:
    """Return an agent with a folder of its own."""
    folder.mkdir()
    return stranger(world, folder)


def test_each_comes_back(world: Cluster, kube: KubeCluster, tmp_path: Path) -> None:
    """A restarted server knows them all, asks them for nothing that it needs not, and has each one back."""
    agents = {name: an_agent(world, tmp_path / name) for name in SEEN}
    with ExitStack() as running:
        programs = {
            "bridge": bridge_agent(agents["bridge"], kube),
            "java-ws": java_agent(agents["java-ws"], "ws"),
            "java-http": java_agent(agents["java-http"], "http"),
            "node": node_agent(agents["node"]),
        }
        for program in programs.values():
            running.enter_context(program)
        before = {name: agents[name].until_connected(programs[name]) for name in SEEN}
        world.server.stop()
        programs["node"].wait_for_event("failed")
        start_server_again(world)
        assert {name: agents[name].row()["identifying"] for name in SEEN} == {
            name: row["identifying"] for name, row in before.items()
        }
        assert agents["bridge"].row()["health"] == before["bridge"]["health"]
        for name in SEEN:
            agents[name].until_connected(programs[name])
    for client, words in SEEN.values():
        saw(client, Column.RECONNECT, words)
