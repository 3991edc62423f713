"""Commands in the README and its likes are real: make targets exist, options are in the command's help."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.house.tree import ROOT

BIN = Path(sys.executable).parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/configurations.md")
OURS = ("quartermaster", "quartermaster-agent")
HARMLESS = {"git", "cd", "export"}
_FENCE = re.compile(r"(?ms)^```(?:sh|console|bash)\n(.*?)^```[ \t]*$")


def commands(document: str) -> list[str]:
    """Return the shell commands in a document's fenced blocks, continued lines joined, comments left out."""
    text = "\n".join(_FENCE.findall((ROOT / document).read_text(encoding="utf-8")))
    lines = (line.strip().removeprefix("$ ") for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def words(command: str) -> list[str]:
    """Return a command's words, settings of the environment before it and what it is piped into left out."""
    found = shlex.split(command.partition(" | ")[0].partition(" > ")[0], comments=True)
    while found and re.fullmatch(r"[A-Z_]+=.*", found[0]):
        found = found[1:]
    return [Path(found[0]).name, *found[1:]] if found else []


@cache
def help_of(program: str, path: tuple[str, ...]) -> tuple[int, str]:
    """Return status and text of a command's help, wide enough that no option is cut."""
    done = subprocess.run(
        [str(BIN / program), *path, "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(BIN), "COLUMNS": "400", "TERM": "dumb", "NO_COLOR": "1", "HOME": str(ROOT)},
    )
    return done.returncode, done.stdout + done.stderr


def fault_in(command: list[str]) -> str | None:
    """Say what is wrong with one command of ours: a subcommand or an option that its help does not know."""
    program, *arguments = command
    path: list[str] = []
    status, text = help_of(program, tuple(path))
    for word in arguments:
        if word.startswith("-") or not re.search(
            rf"(?m)^\W*{re.escape(word)}\b", text.partition("Commands")[2]
        ):
            break
        path.append(word)
        status, text = help_of(program, tuple(path))
    if status != 0:
        return f"{' '.join([program, *path])} --help ended with {status}"
    if "Commands" in text and "COMMAND" in text:
        return f"{' '.join([program, *path])} wants a subcommand, got {arguments[len(path) : len(path) + 1]}"
    options = [word.partition("=")[0] for word in arguments if word.startswith("--")]
    unknown = [option for option in options if not re.search(rf"{re.escape(option)}\b", text)]
    return f"{' '.join([program, *path])} knows no {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize(
    "command", [pytest.param(one, id=f"{name}: {one}"[:80]) for name in DOCUMENTS for one in commands(name)]
)
def test_a_command_in_the_readme_is_real(command: str) -> None:
    """A make target exists; a command of ours has the subcommands and options it is given."""
    program, *arguments = words(command)
    if program == "make":
        targets = [word for word in arguments if "=" not in word]
        done = subprocess.run(["make", "-n", *targets], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    elif program in OURS:
        assert fault_in([program, *arguments]) is None
    else:
        assert program in HARMLESS


def test_the_readme_has_its_two_commands() -> None:
    """`make demo` and `make test` are in the README, as they stand."""
    assert {"make demo", "make test"} <= {one.partition("#")[0].strip() for one in commands("README.md")}
