"""Programs that are not run: a fake of what starts them, which outlives the agent that uses it.

What a program does is its file's content: `runs`, `exits N` (at once), `fails to start`.
"""

from dataclasses import dataclass, field
from pathlib import Path

from distribution.agent.process import Command, Exit
from distribution.errors import HostError


@dataclass
class FakeProgram:
    """One start of a program."""

    machine: "FakeMachine"
    behaviour: str
    file: str
    code: int | None = None

    def fileno(self) -> int:
        return -1

    def exit(self) -> Exit | None:
        return None if self.code is None else Exit(self.code)

    def end(self, code: int) -> None:
        """End by itself."""
        self.code = code
        self.machine.alive.remove(self)

    def stop(self) -> Exit:
        if self.code is None:
            self.end(-15)
        return Exit(-15)


@dataclass
class FakeMachine:
    """The host's processes. An agent that dies leaves them as they are."""

    alive: list[FakeProgram] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    most_at_once: int = 0

    def start(self, command: Command) -> FakeProgram:
        content = Path(command.argv[0]).read_text().split("\n", 1)[0]
        if content == "fails to start":
            raise HostError(f"cannot start {command.argv[0]}: exec format error")
        program = FakeProgram(self, content, command.argv[0])
        self.alive.append(program)
        self.started.append(command.argv[0])
        self.most_at_once = max(self.most_at_once, len(self.alive))
        if content.startswith("exits "):
            program.end(int(content.removeprefix("exits ")))
        return program

    def forget(self) -> None:
        """Keep no record."""

    def end_orphan(self) -> int | None:
        """End what an agent that died left running."""
        for program in list(self.alive):
            program.stop()
        return None
