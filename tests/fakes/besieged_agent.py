"""An agent that runs version 1.0.0 of a real program, and whatever a server may say to it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from opamp.v1 import opamp_pb2

from distribution.agent.conversation import Conversation, Numbers, Offered
from distribution.agent.messages import About
from distribution.agent.output import BoundedLog
from distribution.agent.process import Launcher, alive
from distribution.agent.report import Standing
from distribution.agent.supervisor import now
from distribution.domain.offer import Offer, OfferedPackage
from distribution.domain.package import PackageType
from distribution.domain.terms import Terms
from distribution.protocol.offers import Reply, render
from distribution.protocol.settings import WEBSOCKET
from keys.identity import AgentId
from tests.fakes.agent_world import AgentWorld, path_of
from tests.fakes.tuf_repository import BASE_URL, TufRepository

UID = UUID("019a0000-0000-7000-8000-000000000001")
WAIT_SECONDS = 30.0


def program(version: str) -> bytes:
    """Return a program that runs until it is ended, and differs by version."""
    return f"#!/bin/sh\n# version {version}\nwhile :; do sleep 3600; done\n".encode()


def repository() -> TufRepository:
    """Return a repository with two releases for this host, one for another platform, and an addon."""
    made = TufRepository()
    for version in ("0.9.0", "1.0.0", "1.1.0"):
        made.add_release(path_of(version), program(version))
    made.add_release("acme/collector/1.1.0/linux-arm64/collector", b"for another platform")
    made.add_release(path_of("1.1.0", "plugin"), b"an addon", PackageType.ADDON)
    made.publish()
    return made


class Besieged:
    """The agent of this story. `hear` gives it the server's message, as the wire would."""

    def __init__(self, root: Path, repository: TufRepository) -> None:
        self.repository = repository
        self.launcher = Launcher(root / "program.json", BoundedLog(root / "program.log", 1 << 20), 5.0)
        self.world = AgentWorld(root, repository, self.launcher)
        self._record = root / "program.json"
        about = About(AgentId(UID), "collector", "linux", "amd64", "host")
        self._conversation = Conversation(about, Numbers(), now)

    def message(self, *offered: OfferedPackage) -> opamp_pb2.ServerToAgent:
        """Return the honest server's message for an offer."""
        terms = Terms("wss://agents.example/v1/opamp", BASE_URL, "")
        return render(Reply(UID, offer=Offer(offered)), terms, WEBSOCKET)

    def lie(
        self, version: str, change: Callable[[opamp_pb2.PackageAvailable], object]
    ) -> opamp_pb2.ServerToAgent:
        """Return the honest message for a release, with one package's words changed and new hashes."""
        message = self.message(self.world.offered(version))
        package = message.packages_available.packages["collector"]
        change(package)
        package.hash = b"l" * 32
        message.packages_available.all_packages_hash = b"L" * 32
        return message

    def hear(self, message: opamp_pb2.ServerToAgent) -> None:
        """Take a message of the server, over the wire's bytes, and go on until everything is decided."""
        read = opamp_pb2.ServerToAgent.FromString(message.SerializeToString())
        for event in self._conversation.take(read):
            assert isinstance(event, Offered) or type(event).__name__ == "Heard"
            if isinstance(event, Offered):
                self.world.keeper.offer(event.offer)
        self.world.settle()

    def require_refused(self, *named: str, package: str = "collector") -> str:
        """The last offer was refused, in words that name all of these; the old program still runs."""
        report = self.world.package(package)
        assert report.standing is Standing.FAILED, report
        for words in named:
            assert words in report.error, (words, report.error)
        self.require_running("1.0.0")
        return report.error

    def require_running(self, version: str) -> None:
        """The program of this version runs, as the same process as ever, and nothing else was tried."""
        assert alive(self._record) == self.pid
        assert f"/{version}-" in self._running_file()
        assert self.world.report.health.well
        assert self.world.host.state.trial is None

    def _running_file(self) -> str:
        """Return the script that the process runs; other words, or none, before it got there."""
        words = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        return words[1].decode() if len(words) > 1 else ""

    def install_first(self) -> None:
        """Take the agent to 1.0.0."""
        self.world.keeper.start()
        self.hear(self.message(self.world.offered("1.0.0")))
        pid = alive(self._record)
        assert pid is not None
        self.pid = pid
        wait_until(lambda: self._running_file().endswith("/collector"))
        self.require_running("1.0.0")


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def besieged(root: Path, made: TufRepository) -> Iterator[Besieged]:
    """Yield an agent that runs 1.0.0, and end its program afterwards."""
    agent = Besieged(root, made)
    try:
        agent.install_first()
        yield agent
    finally:
        agent.world.keeper.stop()
