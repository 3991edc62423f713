"""What the Dockerfile says; tests/interop/test_dockerfile.py runs its steps."""

import configparser
import json
import re
import tomllib

import pytest

from tests.house.dockerfile import BASE, read
from tests.house.tree import ROOT

ARGUMENTS, STAGES = read((ROOT / "Dockerfile").read_text(encoding="utf-8"))
RUNS = [(stage.name, words) for stage in STAGES.values() for one, words in stage.steps if one == "RUN"]


@pytest.mark.parametrize("name", ["server", "agent", "test"])
def test_an_image_runs_as_nobody_in_particular(name: str) -> None:
    """Each image ends with a numeric user that is not root."""
    user, _, group = (STAGES[name].last("USER") or "0:0").partition(":")
    assert (int(user) > 0, int(group) > 0) == (True, True)


@pytest.mark.parametrize(("name", "command"), [("server", "quartermaster"), ("agent", "quartermaster-agent")])
def test_an_image_starts_our_command(name: str, command: str) -> None:
    """The server's image starts `quartermaster`, the agent's `quartermaster-agent`."""
    assert json.loads(STAGES[name].last("ENTRYPOINT") or "[]") == [command]


def test_every_stage_rests_on_the_base_or_an_earlier_one() -> None:
    """There is one base image, and every other stage names one that stands before it."""
    names = list(STAGES)
    strays = [
        stage.name
        for number, stage in enumerate(STAGES.values())
        if stage.parent != BASE and stage.parent not in names[:number]
    ]
    assert strays == []


@pytest.mark.parametrize(
    ("stage", "words"), RUNS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(RUNS)]
)
def test_an_installation_is_under_hashes(stage: str, words: str) -> None:
    """Whatever a step installs is checked against the lock's hashes, or is our own wheel from no index."""
    installations = re.findall(r"pip install[^&]*", words)
    assert [one for one in installations if "--require-hashes" not in one and "--no-index" not in one] == []


def test_the_tests_see_nothing_of_the_checkout() -> None:
    """The stage that runs the tests copies `tests` and the installed files, nothing else."""
    copies = [words for one, words in STAGES["test"].steps if one == "COPY"]
    assert copies == ["--from=test-files ${PREFIX} ${PREFIX}", "tests tests"]


def test_the_installed_tests_keep_the_projects_settings() -> None:
    """tests/installed.ini repeats what pyproject.toml tells pytest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    ini = configparser.ConfigParser()
    ini.read(ROOT / "tests" / "installed.ini")
    installed = ini["pytest"]
    assert installed["addopts"].startswith(project["addopts"])
    assert installed["filterwarnings"].split("\n")[1:] == project["filterwarnings"]
    assert installed["minversion"] == project["minversion"]
    assert installed["xfail_strict"] == str(project["xfail_strict"]).lower()
