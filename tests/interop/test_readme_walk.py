"""The README's first installation, command by command as it is printed, by a shell in an empty folder.

Only three things are put in: an address of this machine for the example's host name, which is all the server
binds too, the strings that earlier commands printed for TOKEN and UID, and a program to publish.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.demo.processes import Program, free_ports, wait_for
from distribution.demo.releases import write_releases
from tests.house.test_readme import commands
from tests.house.tree import ROOT

HOST = "quartermaster.fleet.example"
FIRST, LAST = "quartermaster init", "quartermaster audit verify"
LONGEST_SECONDS = 180.0


def walk() -> list[str]:
    """Return the installation's commands, first to last."""
    found = commands("README.md")
    begin = next(number for number, command in enumerate(found) if command.startswith(FIRST))
    end = next(number for number, command in enumerate(found) if command == LAST)
    return found[begin : end + 1]


class Newcomer:
    """Someone at a shell in `folder`, whose exports last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bin_ = Path(sys.executable).parent
        self.environment = {"PATH": f"{bin_}:{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8"}
        self.programs: list[Program] = []
        self.token = self.uid = ""

    def enter(self, command: str) -> None:
        """Enter one command as it stands."""
        command = (
            command.replace(HOST, "127.0.0.1").replace("UID", self.uid).replace(" TOKEN ", f" {self.token} ")
        )
        if command.startswith(FIRST):
            command += " --bind 127.0.0.1"
        if command.startswith("export "):
            for pair in command.split()[1:]:
                name, _, value = pair.partition("=")
                self.environment[name] = value
        elif command.startswith(("quartermaster serve", "quartermaster-agent run")):
            self.start(command)
        else:
            self.run(command)

    def start(self, command: str) -> None:
        name = command.split(maxsplit=1)[0]
        log = self.folder / f"{name}.log"
        self.programs.append(
            Program(name, ["/bin/sh", "-c", f"cd {self.folder} && exec {command}"], log, self.environment)
        )
        self.programs[-1].start()

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        if command.startswith("quartermaster token create"):
            self.token = next(word for word in done.stdout.split() if word.startswith("qm1."))
        return done.stdout

    def see(self, what: str, command: str) -> None:
        """Enter a command again and again until it succeeds."""

        def once() -> bool | None:
            with contextlib.suppress(AssertionError):
                self.run(command)
                return True
            return None

        wait_for(what, once, LONGEST_SECONDS, lambda: "\n".join(each.tail() for each in self.programs))


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    newcomer = Newcomer(tmp_path)
    yield newcomer
    for program in reversed(newcomer.programs):
        program.stop()


def write_host(newcomer: Newcomer) -> None:
    """Write what the README leaves to the reader: a program, and the host's configuration for it."""
    [port] = free_ports(1)
    file = write_releases(newcomer.folder / "made", ("1.0.0",), lambda _text: None)["1.0.0"].file
    (newcomer.folder / "otelcol").write_text(f"#!{sys.executable}\n{file.read_text()}")
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    assert 'command = ["{program}", "--config", "/etc/otelcol/config.yaml"]' in text
    text = text.replace('"--config", "/etc/otelcol/config.yaml"', f'"--health-port", "{port}"')
    folder = newcomer.folder / "agent"
    folder.mkdir()
    (folder / "agent.toml").write_text(text.replace("127.0.0.1:13133", f"127.0.0.1:{port}"))


def test_a_newcomer_gets_through(newcomer: Newcomer) -> None:
    """Every command of the README's first installation works as printed, in that order."""
    write_host(newcomer)
    for command in walk():
        if command.startswith("quartermaster agents revoke"):
            listed = json.loads(newcomer.run("quartermaster agents list --json"))["agents"]
            newcomer.uid = listed[0]["uid"]
        newcomer.enter(command)
        if command.startswith("quartermaster serve"):
            trust = "--trust site/operator/trust.toml --token-file site/operator/token"
            newcomer.see("the server", f"quartermaster {trust} status")
        if command.startswith("quartermaster-agent run"):
            newcomer.see(
                "the installed release",
                "quartermaster-agent status --dir agent | grep 'healthy.*otelcol 1.0.0'",
            )
