"""Sets up a run: one installation of ours, one Go server beside it with the same certificates, one fleet."""

import contextlib
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crowd import Crowd, enlist
from benchmarks.peers import SERVER_CORE, BenchmarkError, Load, Peer, Spoken, on_core
from benchmarks.plain import CROWD_VARIABLE
from benchmarks.programs import LOAD, OPAMP_GO_SERVER, require
from distribution.demo.cluster import PACKAGE, PUBLISHER, Cluster
from distribution.demo.places import ObjectsAt
from distribution.demo.processes import Program, console_command

CHANNEL = "stable"
RELEASES = ("1.0.0", "1.1.0")


@dataclass(frozen=True, slots=True)
class Stage:
    """What the rows are measured on."""

    cluster: Cluster
    crowd: Crowd
    load_program: Path
    go_program: Path

    @property
    def log(self) -> Path:
        """Where the Go programs' errors go."""
        return self.cluster.logs / "go.log"

    @contextmanager
    def go(self, *, plain: bool = False) -> Iterator[Peer]:
        """Yield a Go server that has just been started."""
        keys = self.cluster.server_folder / "keys"
        words = [str(self.go_program), "-listen", "127.0.0.1:0"]
        if not plain:
            words += ["-cert", str(keys / "server.pem"), "-key", str(keys / "server.key.pem")]
            # As ours: with the root beside it, it would verify two signatures more in each handshake.
            words += ["-ca", str(keys / "ca-issuing.pem")]
        spoken = Spoken(on_core(SERVER_CORE, *words), self.log, {"GOMAXPROCS": "1"})

        def told(order: str) -> None:
            spoken.send(order)
            spoken.line()

        try:
            address = spoken.line().split()[-1]
            yield Peer(
                "go", address, spoken.pid, lambda version: told(f"offer {version}"), lambda: told("collect")
            )
        finally:
            spoken.close()

    @contextmanager
    def barest(self) -> Iterator[Peer]:
        """Yield the shell alone, just started; it is offered nothing."""
        keys = self.cluster.server_folder / "keys"
        files = [str(keys / name) for name in ("server.pem", "server.key.pem", "ca-issuing.pem")]
        words = on_core(SERVER_CORE, console_command("python"), "-m", "benchmarks.barest", *files)
        spoken = Spoken(words, self.log)
        try:
            yield Peer("ours", spoken.line(), spoken.pid, lambda _: None, lambda: None)
        finally:
            spoken.close()

    @contextmanager
    def ours(self, *module: str) -> Iterator[Peer]:
        """Yield our server, just started: the console command, or a module of the benchmarks in its place."""
        cluster = self.cluster
        serving = ["serve", "--settings", str(cluster.settings_file), "--log-level", "warning"]
        command = [console_command("python"), "-m", *module] if module else [console_command("quartermaster")]
        words = on_core(SERVER_CORE, *command, *serving)
        environment = {**cluster.environment(), CROWD_VARIABLE: str(self.crowd.file)}
        cluster.server = Program("server", words, cluster.logs / "server.log", environment)
        cluster.start_server()
        port = tomllib.loads(cluster.settings_file.read_text())["agents"]["port"]
        try:
            yield Peer("ours", f"127.0.0.1:{port}", cluster.server.pid, self._point, lambda: None)
        finally:
            cluster.server.stop()

    def _point(self, version: str) -> None:
        """Point the channel at a release, as an operator's program does: one request."""
        body = {"publisher": PUBLISHER, "package": PACKAGE, "version": version, "allow_downgrade": True}
        answer = self.cluster.api().put(f"/api/v1/channels/{CHANNEL}", json={**body, "selector": {}})
        if not answer.is_success:
            raise BenchmarkError(f"channel: {answer.status_code} {answer.text[:300]}")

    @contextmanager
    def load(self, *, plain: bool = False) -> Iterator[Load]:
        """Yield the fleet, with no connection open."""
        fleet = Load(self.load_program, self.crowd, self.log, plain=plain)
        try:
            yield fleet
        finally:
            fleet.close()


@contextmanager
def stage(folder: Path, agents: int) -> Iterator[Stage]:
    """Make an installation with so many enrolled agents and two releases in `folder`, which is empty."""
    programs = require(LOAD), require(OPAMP_GO_SERVER)
    with contextlib.ExitStack() as closing:
        cluster = Cluster(folder / "installation", ObjectsAt())
        closing.callback(cluster.close)
        cluster.init(single=True)
        cluster.start_server()
        cluster.add_publisher()
        for version in RELEASES:
            file = folder / version / "collector"
            file.parent.mkdir()
            file.write_bytes(version.encode())
            cluster.publish(version, file)
        cluster.server.stop()
        yield Stage(cluster, enlist(cluster, agents), *programs)
