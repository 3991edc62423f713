"""The story of the demonstration, from an empty folder to a verified journal. Every step must happen.

Each function is one step. What it tells comes from the agents' own reports, as the server keeps them, from
the journal, and from the agents' folders; nothing is told because it was meant to happen.
"""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from distribution.demo.cluster import PACKAGE, PUBLISHER, Cluster
from distribution.demo.processes import wait_for
from distribution.demo.releases import BROKEN, DemoRelease, write_releases
from distribution.demo.stage import Stage
from distribution.demo.tampering import alter_stored_bytes
from distribution.demo.watching import (
    ROLLOUT_SECONDS,
    Row,
    connected,
    failed,
    installed,
    lost_after,
    program_says,
    refusal_of,
    watch,
)

FIRST, SECOND, BELOW_FLOOR, ALTERED = "1.0.0", "1.1.0", "1.0.1", "1.3.0"
VERSIONS = (FIRST, SECOND, BELOW_FLOOR, BROKEN, ALTERED)
AGENTS = {"agent-a": "ws", "agent-b": "ws", "agent-c": "http"}
CRASHED, OTHER_BYTES, FORBIDDEN = "exited with status", "signed are", "is below its floor"
"""Words of the agents' own reasons: each refusal must be for the right one."""

CHANNEL = "stable"


def tell(cluster: Cluster, stage: Stage, *, single: bool = True) -> None:
    """Tell the whole story. Raises DemoError at the first step that did not happen."""
    with stage.step("Trust is initialised: an authority, TUF roles, the first operator; the server starts"):
        cluster.init(single=single)
        cluster.start_server()
        stage.note(f"operators' API at {cluster.url}")
    with stage.step(f"Publisher {PUBLISHER} is delegated the package {PACKAGE}, signed by the offline keys"):
        cluster.add_publisher()
    releases = write_releases(cluster.root / "releases", VERSIONS, stage.note)
    with stage.step(f"A pipeline publishes {FIRST}; channel {CHANNEL} points at it"):
        publish(cluster, stage, releases[FIRST])
        cluster.set_channel(CHANNEL, FIRST)
    with stage.step("Three agents enroll with one token; their keys never leave their folders"):
        enroll(cluster, stage)
    with stage.step(f"{FIRST} is installed and running on every agent"):
        see_running(cluster, stage, FIRST)
    with stage.step(f"{SECOND} rolls out"):
        publish(cluster, stage, releases[SECOND])
        cluster.set_channel(CHANNEL, SECOND)
        see_running(cluster, stage, SECOND)
    refuse(cluster, stage, releases)
    with stage.step("One agent is revoked while it is connected"):
        revoke(cluster, stage, "agent-a")
    with stage.step("The journal is verified"):
        stage.note(cluster.quartermaster("audit", "verify").strip())
    show_outcome(cluster, stage)


def refuse(cluster: Cluster, stage: Stage, releases: Mapping[str, DemoRelease]) -> None:
    """Tell of the versions that go down, break, were altered, or are forbidden."""
    with stage.step(f"A deliberate downgrade to {FIRST}"):
        cluster.set_channel(CHANNEL, FIRST, "--allow-downgrade")
        see_running(cluster, stage, FIRST)
    with stage.step(f"{BROKEN} crashes on start: it is tried, rolled back and reported"):
        publish(cluster, stage, releases[BROKEN])
        cluster.set_channel(CHANNEL, BROKEN)
        see_refused(cluster, stage, BROKEN, FIRST, CRASHED)
    with stage.step(f"The stored bytes of {ALTERED} are altered: every agent refuses it"):
        publish(cluster, stage, releases[ALTERED])
        alter_stored_bytes(cluster, ALTERED, stage.note)
        cluster.set_channel(CHANNEL, ALTERED)
        see_refused(cluster, stage, ALTERED, FIRST, OTHER_BYTES)
    with stage.step(f"The floor is raised to {SECOND}; {BELOW_FLOOR} is offered and refused"):
        publish(cluster, stage, releases[BELOW_FLOOR])
        cluster.raise_floor(SECOND)
        cluster.set_channel(CHANNEL, BELOW_FLOOR, "--allow-downgrade")
        see_refused(cluster, stage, BELOW_FLOOR, FIRST, FORBIDDEN)


def publish(cluster: Cluster, stage: Stage, release: DemoRelease) -> None:
    """Publish one release as a pipeline would."""
    cluster.publish(release.version, release.file)
    stage.note(f"published {PUBLISHER}/{PACKAGE} {release.version}")


def enroll(cluster: Cluster, stage: Stage) -> None:
    """Enroll and start the agents; wait until each is connected with its own certificate."""
    token = cluster.create_token(uses=len(AGENTS))
    for name, transport in AGENTS.items():
        agent = cluster.add_agent(name, transport)
        cluster.enroll(agent, token)
        agent.program.start()
        stage.note(f"{name} is {agent.uid}, over {'WebSocket' if transport == 'ws' else 'HTTP'} and mTLS")
    for name in AGENTS:
        watch(cluster, name, "connected over mTLS", connected)


def see_running(cluster: Cluster, stage: Stage, version: str) -> None:
    """Wait until every agent reports the version installed and healthy, and its program says so itself."""
    for name in cluster.agents:
        watch(cluster, name, f"{version} installed and healthy", partial(installed, version=version))
        stage.note(f"{name} runs {program_says(cluster, name, version)}")


def see_refused(cluster: Cluster, stage: Stage, refused: str, running: str, why: str) -> None:
    """Wait until every agent reports, in words that contain `why`, that it still runs another version."""
    for name in cluster.agents:
        package = watch(
            cluster, name, f"{refused} refused because of {why!r}", partial(failed, version=refused, why=why)
        )
        stage.note(f"{name} runs {program_says(cluster, name, running)}: {package['error']}")


def revoke(cluster: Cluster, stage: Stage, name: str) -> None:
    """Revoke one agent; its socket must close and its return must fail, by its own account."""
    agent = cluster.agents[name]
    began = time.time()
    receipt = cluster.revoke(agent.uid)
    closed = wait_for(f"{name}'s closed connection", lambda: lost_after(agent, began), 10, agent.program.tail)
    stage.note(
        f"{name}: socket closed {1000 * (closed - began):.0f} ms after the command was typed; "
        f"the server took {receipt['elapsed_ms']:.1f} ms for {receipt['connections_cut']} connection(s)"
    )
    refusal = wait_for(
        f"{name}'s failed return", lambda: refusal_of(agent), ROLLOUT_SECONDS, agent.program.tail
    )
    stage.note(f"{name} came back and was refused: {refusal}")
    wait_for(
        "the refusal in the journal",
        lambda: any(_is_refusal(entry, agent.uid) for entry in cluster.journal()) or None,
        ROLLOUT_SECONDS,
    )
    stage.note(f"{name}'s program keeps running: {program_says(cluster, name, FIRST)}")


def _is_refusal(entry: Row, uid: str) -> bool:
    return (entry["kind"], entry["actor"]) == ("connection.refused", f"agent:{uid}")


def show_outcome(cluster: Cluster, stage: Stage) -> None:
    """Show what the agents reported and what the journal holds."""
    rows = []
    for name in cluster.agents:
        row = cluster.agent_row(name)
        package = row["packages"][0]
        rows.append(
            (
                name,
                package["version"],
                "yes" if row["health"] and row["health"]["healthy"] else "no",
                "yes" if row["connected"] else "no",
                "live" if row["serials"] else "revoked",
                f"{package['offered_version']}: {package['state']}",
                package["error"],
            )
        )
    columns = ("agent", "runs", "healthy", "connected", "credential", "last offer", "why")
    stage.table("What the agents reported", columns, rows)
    counted = Counter(entry["kind"] for entry in cluster.journal())
    stage.table(
        "What the journal holds", ("kind", "entries"), [(k, str(n)) for k, n in sorted(counted.items())]
    )


def what_to_try(cluster: Cluster, stage: Stage) -> None:
    """Say how to go on with an installation that is left running, and how to end it."""
    profile = cluster.environment()
    stage.note(f"export PATH={Path(sys.executable).parent}:$PATH")
    for name in ("QUARTERMASTER_URL", "QUARTERMASTER_TRUST", "QUARTERMASTER_TOKEN_FILE"):
        stage.note(f"export {name}={profile[name]}")
    stage.note("quartermaster agents list")
    stage.note("quartermaster audit log")
    stage.note(f"quartermaster channel set {CHANNEL} {PUBLISHER}/{PACKAGE}@{SECOND}")
    pids = [cluster.server.pid, *(agent.program.pid for agent in cluster.agents.values())]
    stage.note(f"end it with: kill {' '.join(str(pid) for pid in pids)}; rm -r {cluster.root}")
