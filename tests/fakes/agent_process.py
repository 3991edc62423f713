"""The agent as a process of its own, on a host folder, against a served fleet."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from distribution.domain.agent import PackageState
from distribution.domain.offer import Offer, OfferedPackage
from distribution.domain.package import Artifact, Digest, PackageType, TargetPath
from keys.identity import AgentId
from tests.fakes.agent_world import path_of
from tests.fakes.served_fleet import ServedFleet

AGENT = [sys.executable, "-c", "from distribution.agent.cli import main; main()"]
HOST = """
[agent]
transport = "{transport}"
heartbeat_seconds = 0.5
reconnect_max_seconds = 1

[program]
package = "collector"
command = ["{{program}}"]
stop_seconds = 2

[health]
interval_seconds = 0.1

[trial]
seconds = 0.2

[packages.collector]
target = "acme/collector/{{version}}/linux-amd64/collector"
"""


def agent(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one command of the agent."""
    return subprocess.run([*AGENT, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


class Process:
    """One life of an agent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "agent.log"
        with self.output.open("ab") as log:
            self.child = subprocess.Popen([*AGENT, "run", "--dir", str(folder)], stdout=log, stderr=log)

    def kill(self) -> None:
        """End it as a power cut does."""
        self.child.kill()
        self.child.wait()

    def stop(self) -> int:
        """End it as a service manager does; return its exit status."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(20)


def offer_of(fleet: ServedFleet, version: str, *, downgrade: bool = False) -> Offer:
    """Return the offer of a release."""
    target = fleet.tuf.release.targets[path_of(version)]
    digest = Digest.from_hex(target.hashes["sha256"])
    artifact = Artifact(TargetPath.parse(path_of(version)), PackageType.TOP_LEVEL, target.length, digest)
    return Offer((OfferedPackage("collector", artifact, downgrade),))


def enroll(fleet: ServedFleet, host: Path, transport: str, token_id: str) -> AgentId:
    """Write the host's configuration and enroll it."""
    (host / "agent.toml").write_text(HOST.format(transport=transport))
    done = agent("enroll", fleet.token(token_id), "--dir", host, "--json")
    assert done.returncode == 0, done.stderr
    return AgentId.parse(json.loads(done.stdout)["instance_uid"])


def runs(fleet: ServedFleet, who: AgentId, version: str) -> bool:
    """Whether the server was told that the agent holds this version and that it is well."""
    view = fleet.view(who)
    package = view.packages.get("collector") if view.packages else None
    return (
        package is not None
        and (package.state, package.version) == (PackageState.INSTALLED, version)
        and view.health is not None
        and view.health.healthy
    )
