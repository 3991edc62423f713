"""Reads the Dockerfile, and runs its steps in an empty folder where no image builder can be had.

A stage is a folder; the base image is a fresh virtual environment at the front of PATH, on the base's own
system where it can be entered; every place is a build argument, set to a path below the link `image`, which
points at the stage that is being built. COPY copies, RUN runs in a shell, and USER is read but not obeyed:
what cannot be had this way is another user.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

BASE_PYTHON, BASE_SYSTEM = "3.13", "trixie"
BASE = f"python:{BASE_PYTHON}-slim-{BASE_SYSTEM}"
STEP_TIMEOUT_SECONDS = 1200
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class StepError(Exception):
    """A step of the Dockerfile failed, or is one that is not understood here."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One FROM and what follows it: the words after each instruction, unexpanded."""

    name: str
    parent: str
    steps: tuple[tuple[str, str], ...]

    def last(self, instruction: str) -> str | None:
        """Return what the last such instruction says."""
        return next((words for one, words in reversed(self.steps) if one == instruction), None)


def read(text: str) -> tuple[dict[str, str], dict[str, Stage]]:
    """Return the arguments given before the first stage, with their defaults, and the stages by name."""
    plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    arguments: dict[str, str] = {}
    stages: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    name = ""
    for line in plain.replace("\\\n", " ").splitlines():
        instruction, _, words = line.strip().partition(" ")
        if instruction == "FROM":
            parent, _, name = words.partition(" AS ")
            stages[name] = (parent, [])
        elif instruction and not name:
            key, _, default = words.partition("=")
            arguments[key] = default
        elif instruction:
            stages[name][1].append((instruction, words.strip()))
    return arguments, {key: Stage(key, parent, tuple(steps)) for key, (parent, steps) in stages.items()}


@dataclass
class Builder:
    """Builds stages of one Dockerfile below `folder`, from the files in `context`.

    `on_base` turns a command into one that runs on the base's system, where `folder` is in the same place.
    """

    arguments: Mapping[str, str]
    stages: Mapping[str, Stage]
    context: Path
    folder: Path
    on_base: Callable[[list[str]], list[str]]
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)

    @property
    def image(self) -> Path:
        """The link to the stage at work."""
        return self.folder / "image"

    def build(self, name: str) -> None:
        """Build a stage and those it rests on, each once.

        Raises:
            StepError: a step failed; the message has its output.
        """
        if name in self.environments:
            return
        stage = self.stages[name]
        sources = {
            words.split("=")[1].split()[0] for one, words in stage.steps if words.startswith("--from=")
        }
        for other in sorted(sources | ({stage.parent} - {BASE})):
            self.build(other)
        self._enter(stage)
        for instruction, words in stage.steps:
            self._step(stage.name, instruction, words)

    def enter(self, name: str) -> dict[str, str]:
        """Make a built stage the current one and return its environment."""
        self.image.unlink(missing_ok=True)
        self.image.symlink_to(self.folder / name)
        return self.environments[name]

    def run(self, name: str, command: list[str]) -> "subprocess.CompletedProcess[str]":
        """Run a command in a built stage, as starting its image would."""
        return subprocess.run(
            self.on_base(command),
            env=self.enter(name),
            cwd=self.places[name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_TIMEOUT_SECONDS,
            check=False,
        )

    def command(self, name: str) -> list[str]:
        """Return what starting the image of a stage runs: its entry point and its command."""
        both = (self.stages[name].last("ENTRYPOINT"), self.stages[name].last("CMD"))
        return [word for words in both if words for word in json.loads(words)]

    def _enter(self, stage: Stage) -> None:
        root = self.folder / stage.name
        if stage.parent == BASE:
            root.mkdir()
            self.environments[stage.name] = self._bare()
            self.places[stage.name] = self.image
            self.enter(stage.name)
            base = self.image / "usr" / "local"
            self.run(stage.name, ["python3", "-m", "venv", str(base)]).check_returncode()
        else:
            shutil.copytree(self.folder / stage.parent, root, symlinks=True, copy_function=os.link)
            self.environments[stage.name] = dict(self.environments[stage.parent])
            self.places[stage.name] = self.places[stage.parent]
            self.enter(stage.name)

    def _bare(self) -> dict[str, str]:
        kept = (
            "SSL_",
            "PIP_",
            "UV_",
            "REQUESTS_",
            "CURL_",
            "HTTP",
            "NO_PROXY",
            "http",
            "no_proxy",
            "XDG_CACHE",
        )
        passed = {name: value for name, value in os.environ.items() if name.startswith(kept)}
        shims = self.folder / "shims"
        shims.mkdir(exist_ok=True)
        if os.geteuid() != 0 and not (shims / "chown").exists():
            (shims / "chown").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
            (shims / "chown").chmod(0o755)
        path = f"{shims}:{self.image}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        return {**passed, "PATH": path, "HOME": os.environ.get("HOME") or str(self.image), "LANG": "C.UTF-8"}

    def _expand(self, stage: str, words: str) -> str:
        environment = self.environments[stage]
        return _VARIABLE.sub(lambda match: environment.get(match[1], match[0]), words)

    def _step(self, stage: str, instruction: str, words: str) -> None:
        environment = self.environments[stage]
        if instruction == "ARG":
            environment[words] = f"{self.image}{self.arguments[words]}"
        elif instruction == "ENV":
            key, _, value = self._expand(stage, words).partition("=")
            environment[key] = value
        elif instruction == "WORKDIR":
            self.places[stage] = Path(self._expand(stage, words))
            self.places[stage].mkdir(parents=True, exist_ok=True)
        elif instruction == "COPY":
            self._copy(stage, shlex.split(self._expand(stage, words)))
        elif instruction == "RUN":
            done = self.run(stage, ["/bin/sh", "-ec", words])
            if done.returncode != 0:
                raise StepError(
                    f"{stage}: RUN {words} ended with {done.returncode}: {done.stdout}{done.stderr}"
                )
        elif instruction not in {"USER", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"}:
            raise StepError(f"{stage}: {instruction} is not understood here")

    def _copy(self, stage: str, words: list[str]) -> None:
        source_root, duplicate = self.context, shutil.copy2
        if words[0].startswith("--from="):
            duplicate = os.link  # what another stage made is changed by nobody
            origin = self.folder / words.pop(0).partition("=")[2]
            words[0] = str(origin / Path(words[0]).relative_to(self.image))
        *sources, target = words
        place = self.places[stage] / target
        for source in sources:
            path = source_root / source
            if path.is_dir():
                shutil.copytree(
                    path, place, symlinks=True, dirs_exist_ok=True, ignore=_ignored, copy_function=duplicate
                )
            else:
                into = place / path.name if target.endswith("/") else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)


def _ignored(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__"}
