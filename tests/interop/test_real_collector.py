"""A real OpenTelemetry Collector is upgraded and downgraded by our agent, from each kind of store."""

import urllib.request
from functools import partial

import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.watching import installed
from tests.interop.fleet import CHANNEL, add_collector_host, running_version, wait_until

pytestmark = pytest.mark.xdist_group("stores")
VERSIONS = ("1.0.0", "1.1.0")


@pytest.mark.parametrize("transport", ["ws", "http"])
def test_a_collector_goes_up_and_down(cluster: Cluster, transport: str) -> None:
    """A collector is installed, upgraded and downgraded; its own version and health endpoint say so."""
    name = f"collector-{transport}"
    cluster.set_channel(CHANNEL, VERSIONS[0], "--allow-downgrade")
    agent = add_collector_host(cluster, name, transport)
    for version, flags in ((VERSIONS[0], ()), (VERSIONS[1], ()), (VERSIONS[0], ("--allow-downgrade",))):
        cluster.set_channel(CHANNEL, version, *flags)

        def reported(version: str = version) -> object | None:
            return partial(installed, version=version)(cluster.agent_row(name))

        wait_until(f"{version} reported installed and healthy", reported, cluster, name)
        assert running_version(agent) == version
        with urllib.request.urlopen(f"http://127.0.0.1:{agent.health_port}/", timeout=5) as answer:
            assert answer.status == 200
    agent.program.stop()
