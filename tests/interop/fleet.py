"""One installation of ours for tests on real parts: the demonstration's, with the real programs in it."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from distribution.demo.cluster import PACKAGE, Cluster, DemoAgent
from distribution.demo.places import ObjectsAt
from distribution.demo.processes import DemoError, wait_for

CHANNEL = "stable"
PATIENCE_SECONDS = 120.0

HOST = """\
[agent]
transport = "{transport}"
heartbeat_seconds = 1
reconnect_max_seconds = 2

[program]
package = "{package}"
command = ["{{program}}", "--config", "{configuration}"]
stop_seconds = 10

[health]
check = "http"
url = "http://127.0.0.1:{port}/"
interval_seconds = 0.2

[trial]
seconds = 1
start_seconds = 30

[packages.{package}]
type = "top_level"
target = "{target}"
"""

COLLECTOR = """\
receivers: {{nop: }}
exporters: {{nop: }}
extensions:
  health_check: {{endpoint: "127.0.0.1:{port}"}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [nop], exporters: [nop]}}
"""


@contextmanager
def installation(
    folder: Path,
    objects: ObjectsAt,
    releases: Mapping[str, Path],
    database: str | None = None,
    *,
    agents: str = "",
) -> Iterator[Cluster]:
    """Yield a running server with these releases published, and end everything that was started.

    `agents` are further lines of its settings' section of that name.
    """
    cluster = Cluster(folder / "installation", objects, database)
    try:
        cluster.init(single=True)
        settings = cluster.settings_file.read_text(encoding="utf-8")
        assert "[agents]\n" in settings
        told = settings.replace("[agents]\n", f"[agents]\n{agents}\n")
        cluster.settings_file.write_text(told, encoding="utf-8")
        start_server_again(cluster)  # its ports were free when they were chosen
        cluster.add_publisher()
        for version, file in releases.items():
            cluster.publish(version, named(file, folder / version))
        yield cluster
    finally:
        cluster.close()


def start_server_again(cluster: Cluster) -> None:
    """Start a server on the ports that it has, once no connection of others happens to use one.

    Raises:
        DemoError: it does not start, for another reason or for too long.
    """

    def started() -> bool | None:
        try:
            cluster.start_server()
        except DemoError as error:
            if "Address already in use" not in str(error):
                raise
            return None
        return True

    wait_for("the server on its ports", started, PATIENCE_SECONDS, cluster.server.tail)


def add_collector_host(cluster: Cluster, name: str, transport: str) -> DemoAgent:
    """Add an agent of ours whose host runs a collector, enroll and start it."""
    agent = cluster.add_agent(name, transport)
    configuration = agent.folder / "collector.yaml"
    configuration.write_text(COLLECTOR.format(port=agent.health_port), encoding="utf-8")
    host = HOST.format(
        transport=transport,
        package=PACKAGE,
        configuration=configuration,
        port=agent.health_port,
        target=cluster.target,
    )
    (agent.folder / "agent.toml").write_text(host, encoding="utf-8")
    cluster.enroll(agent, cluster.create_token(uses=1))
    agent.program.start()
    return agent


def named(file: Path, folder: Path) -> Path:
    """Return a copy of a file under the name that hosts accept, so that its target path is theirs."""
    folder.mkdir(parents=True)
    return Path(shutil.copy2(file, folder / PACKAGE))


def running_version(agent: DemoAgent) -> str | None:
    """Return what the running collector's own file says of its version, or None if none runs."""
    mark = str(agent.folder / "collector.yaml").encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark not in (process / "cmdline").read_bytes().split(b"\0"):
                continue
            said = subprocess.run([process / "exe", "--version"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return said.stdout.split()[-1]
    return None


def wait_until(what: str, look: Callable[[], object | None], cluster: Cluster, name: str) -> None:
    """Wait until `look` finds something; a failure shows what agent and server said last."""
    agent = cluster.agents[name]

    def seen() -> str:
        return f"{cluster.agent_row(name)}\n{agent.program.tail(30)}\n{cluster.server.tail(30)}"

    wait_for(what, look, PATIENCE_SECONDS, seen)
