"""A real collector is installed by our agent and by one on opamp-go, from each kind of store."""

import hashlib
import urllib.request
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.watching import installed
from tests.interop.fleet import CHANNEL, add_collector_host, running_version, wait_until
from tests.interop.go_agent import LIBRARIES, enrolled, until

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


def test_opamp_go_installs_from_each_kind_of_store(
    cluster: Cluster, collectors: Mapping[str, Path], tmp_path: Path
) -> None:
    """A large package reaches an agent on opamp-go from a folder and from an S3 server alike."""
    agent = enrolled(cluster, LIBRARIES[0], tmp_path)
    cluster.set_channel(CHANNEL, "1.0.0", "--allow-downgrade")
    with agent.running("store.log") as program:
        digest = hashlib.sha256(collectors["1.0.0"].read_bytes()).hexdigest()
        assert program.wait_for_event("downloaded")["sha256"] == digest
        until(cluster, agent.uid, "1.0.0", lambda row: installed(row, "1.0.0"), program)
