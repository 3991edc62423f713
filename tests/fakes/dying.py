"""An agent that dies at its n-th act: before it, or right after it."""

from pathlib import Path

from distribution.agent.ports import Disk
from distribution.agent.process import Command
from distribution.agent.state import Installed, State
from distribution.domain.package import Artifact
from tests.fakes.agent_programs import FakeMachine, FakeProgram


class Killed(BaseException):
    """SIGKILL: nothing in the program may catch this."""


class Fate:
    """Counts acts; the one it names is the last. `acts` keeps their names."""

    def __init__(self, at: int, *, after: bool) -> None:
        self._at = at
        self._after = after
        self.acts: list[str] = []

    def before(self, act: str) -> None:
        """An act is about to be done."""
        self.acts.append(act)
        if len(self.acts) == self._at and not self._after:
            raise Killed(act)

    def after(self) -> None:
        """The act was done."""
        if len(self.acts) == self._at and self._after:
            raise Killed(self.acts[-1])

    @property
    def spared(self) -> bool:
        """Whether the story ended before the act it names."""
        return len(self.acts) < self._at


class DyingDisk:
    """A disk that is the agent's last."""

    def __init__(self, disk: Disk, fate: Fate) -> None:
        self._disk = disk
        self._fate = fate

    def load(self) -> State:
        return self._disk.load()

    def save(self, state: State) -> None:
        self._fate.before("save")
        self._disk.save(state)
        self._fate.after()

    def install(self, artifact: Artifact, staged: Path, offer_hash: bytes) -> Installed:
        self._fate.before("install")
        installed = self._disk.install(artifact, staged, offer_hash)
        self._fate.after()
        return installed

    def path_of(self, installed: Installed) -> Path:
        return self._disk.path_of(installed)

    def intact(self, installed: Installed) -> bool:
        return self._disk.intact(installed)

    def clean(self, state: State) -> None:
        self._fate.before("clean")
        self._disk.clean(state)
        self._fate.after()


class _DyingProgram:
    def __init__(self, program: FakeProgram, fate: Fate) -> None:
        self._program = program
        self._fate = fate
        self.fileno = program.fileno
        self.exit = program.exit

    def stop(self) -> object:
        self._fate.before("stop")
        ended = self._program.stop()
        self._fate.after()
        return ended


class DyingStarter:
    """Starts programs for an agent that may die of it."""

    def __init__(self, machine: FakeMachine, fate: Fate) -> None:
        self._machine = machine
        self._fate = fate

    def start(self, command: Command) -> _DyingProgram:
        self._fate.before("start")
        try:
            program = self._machine.start(command)
        finally:
            self._fate.after()
        return _DyingProgram(program, self._fate)

    def forget(self) -> None:
        self._fate.before("forget")
        self._fate.after()
