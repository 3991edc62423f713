"""A whole installation under fire: real processes of ours, killed without warning; what must still hold."""

import os
import random
import signal
import time
from pathlib import Path

from distribution.agent.process import alive
from distribution.agent.store import Store
from distribution.demo.cluster import PACKAGE, PUBLISHER, Cluster, DemoAgent
from distribution.demo.places import ObjectsAt
from distribution.demo.processes import Program, console_command, wait_for
from distribution.demo.releases import write_releases
from distribution.demo.watching import Row, installed, program_says, watch

CHANNEL = "stable"
TWO = ("1.0.0", "1.1.0")
SETTLE_SECONDS = 180.0
"""How long anything may take on a machine that is far too busy; nothing waits that long on an idle one."""

BRISK = {
    "heartbeat_seconds = 1": "heartbeat_seconds = 0.25",
    "reconnect_max_seconds = 2": "reconnect_max_seconds = 0.5",
    "interval_seconds = 0.2": "interval_seconds = 0.1",
    "seconds = 1\nstart_seconds = 10": "seconds = 0.3\nstart_seconds = 120",
}
"""Lines of a host's configuration, and what makes a round shorter; a start may take long all the same."""


class Siege:
    """One server, one publisher, `agents` agents that run one of two releases."""

    def __init__(self, root: Path, agents: dict[str, str]) -> None:
        self.cluster = Cluster(root, ObjectsAt())
        self.cluster.init(single=True)
        self.cluster.start_server()
        self.cluster.add_publisher()
        self.published = list(TWO)
        for release in write_releases(root / "releases", TWO, lambda _text: None).values():
            began = time.monotonic()
            self.cluster.publish(release.version, release.file)
            self.publishing_seconds = time.monotonic() - began
        self.set_channel(TWO[0])
        if agents:
            self._start(agents)
        self.require_settled()
        began = time.monotonic()
        self.set_channel(TWO[1])
        self.require_settled()
        self.rollout_seconds = time.monotonic() - began

    def _start(self, agents: dict[str, str]) -> None:
        token = self.cluster.create_token(uses=len(agents))
        for name, transport in agents.items():
            agent = self.cluster.add_agent(name, transport)
            make_brisk(agent.folder / "agent.toml")
            self.cluster.enroll(agent, token)
            agent.program.start()

    def set_channel(self, version: str) -> None:
        """Point the channel at a release; once this returns, no crash may take it back."""
        body = {
            "publisher": PUBLISHER,
            "package": PACKAGE,
            "version": version,
            "allow_downgrade": True,
            "selector": {},
        }
        answer = self.cluster.api().put(f"/api/v1/channels/{CHANNEL}", json=body)
        answer.raise_for_status()
        self.wanted = version

    def other(self) -> str:
        """Return the release that the channel does not point at."""
        return TWO[1 - TWO.index(self.wanted)]

    def publishing(self) -> Program:
        """Return a pipeline's run that publishes a release of a new version; it is not started."""
        version = f"2.{len(self.published)}.0"
        files = write_releases(self.cluster.root / "releases" / "later", (version,), lambda _text: None)
        words = self.cluster.publishing(version, files[version].file)
        argv = [console_command("quartermaster"), *self.cluster.as_pipeline(), *words]
        self.published.append(version)
        log = self.cluster.logs / "publisher.log"
        return Program(f"publisher of {version}", argv, log, self.cluster.environment())

    def publish_again(self, publishing: Program) -> None:
        """Run a publication that did not come to its end once more, and undisturbed: now it does."""
        began = time.monotonic()
        publishing.start()
        assert finished(publishing) == 0, publishing.tail()
        self.publishing_seconds = time.monotonic() - began

    def require_settled(self) -> None:
        """Releases, channel and journal are as acknowledged, and every agent runs the wanted version."""
        found = self.cluster.get("/api/v1/releases", publisher=PUBLISHER)["releases"]
        assert sorted(one["version"] for one in found) == sorted(self.published)
        [channel] = self.cluster.get("/api/v1/channels")["channels"]
        assert channel["version"] == self.wanted
        for name in self.cluster.agents:
            self.require_running(name)
        checked = self.cluster.api().post("/api/v1/journal/verify")
        assert checked.status_code == 200, checked.text

    def require_running(self, name: str) -> None:
        """This life of the agent runs the wanted release and says so, and so does its program itself."""
        agent = self.cluster.agents[name]

        def reported(row: Row) -> Row | None:
            return installed(row, self.wanted) if row["connected"] else None

        # What an earlier life of the agent left running, and what it reported, may be the same release.
        wait_for(f"a program of {name}'s own", lambda: owned(agent), SETTLE_SECONDS, agent.program.tail)
        watch(self.cluster, name, f"{self.wanted} installed", reported)
        program_says(self.cluster, name, self.wanted)

    def require_a_version(self, agent: DemoAgent) -> None:
        """Without any agent process, the agent's folder names a release that last ran healthy, and has it."""
        store = Store(agent.folder)
        healthy = store.load().healthy[PACKAGE]
        assert healthy.version.text in TWO
        assert store.intact(healthy)

    def close(self) -> None:
        """End everything."""
        # Our own idle connection first: a server that stops says goodbye on it, and we would not answer.
        self.cluster.api().close()
        self.cluster.close()
        for agent in self.cluster.agents.values():
            left = alive(record_of(agent))
            if left is not None:
                os.killpg(left, signal.SIGKILL)


def record_of(agent: DemoAgent) -> Path:
    """Return where the agent keeps which process its program is."""
    return agent.folder / "program.json"


def owned(agent: DemoAgent) -> int | None:
    """Return the agent's living program if this very process of the agent started it, None otherwise."""
    found = alive(record_of(agent))
    try:
        stat = "" if found is None else Path(f"/proc/{found}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    parent = stat.rpartition(")")[2].split()[1:2]
    return found if parent == [str(agent.program.pid)] else None


def make_brisk(configuration: Path) -> None:
    """Have a host's agent look, poll and come back more often than in the demonstration."""
    text = configuration.read_text()
    for line, brisk in BRISK.items():
        assert f"\n{line}\n" in text, line
        text = text.replace(f"\n{line}\n", f"\n{brisk}\n")
    configuration.write_text(text)


def after(chance: random.Random, longest: float) -> None:
    """Let a random time pass: this is the moment of the kill, not a wait for anything."""
    time.sleep(chance.uniform(0, longest))


def killed(program: Program) -> bool:
    """Kill a process; return whether it still ran, for only then was anything killed."""
    program.kill()
    return program.ended() == -signal.SIGKILL


def finished(program: Program) -> int:
    """Wait until a run has ended, and return its status."""
    return wait_for(f"the end of {program.name}", program.ended, SETTLE_SECONDS, program.tail)
