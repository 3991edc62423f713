"""The wheel holds exactly our import names, and alone it is an agent that loads nothing of the server."""

import configparser
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.house.layers import SERVER_LIBRARIES
from tests.house.packing import build_wheel, link_libraries, needed, unpack
from tests.house.tree import OURS, product

AGENT_ONLY = (
    "import sys; sys.path.insert(0, {site!r})\n"
    "import distribution.agent.cli\n"
    "print('\\n'.join(sorted(sys.modules)))\n"
)
SERVER_ROOMS = (
    *("distribution.transport", "distribution.flows", "distribution.catalog", "distribution.fleet"),
    *("distribution.compose", "distribution.cli", "distribution.pipeline", "distribution.demo"),
    *("keys.authority", "keys.custody", "keys.ledger", "storage"),
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's files and nothing but what the wheel alone requires."""
    folder = unpack(wheel, tmp_path_factory.mktemp("site"))
    described = next(iter(metadata.distributions(path=[str(folder)])))
    bare = [text for text in described.requires or [] if "extra ==" not in text]
    link_libraries(needed(bare), folder)
    return folder


def test_exactly_our_import_names_are_in_the_wheel(wheel: Path) -> None:
    """At the wheel's top lie our four packages and the wheel's own description."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(OURS)


def test_every_module_is_in_the_wheel(wheel: Path) -> None:
    """Each module of the checkout is in the wheel under its import name."""
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    missing = [
        module.name
        for module in product()
        if not {f"{module.name.replace('.', '/')}.py", f"{module.name.replace('.', '/')}/__init__.py"}
        & packed
    ]
    assert missing == []


def test_the_names_belong_to_our_distribution_alone(site: Path) -> None:
    """The installed metadata gives our four names to our distribution and to no other."""
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from importlib.metadata import packages_distributions as owners\n"
        f"print([owners()[name] for name in {sorted(OURS)!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([["opamp-quartermaster"]] * len(OURS))


def test_two_console_commands(wheel: Path) -> None:
    """The wheel brings `quartermaster` and `quartermaster-agent`, each from the module that owns it."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith("entry_points.txt"))
        points = configparser.ConfigParser()
        points.read_string(archive.read(name).decode())
    assert dict(points["console_scripts"]) == {
        "quartermaster": "distribution.cli.main:main",
        "quartermaster-agent": "distribution.agent.cli:main",
    }


def test_the_agent_loads_nothing_of_the_server(site: Path) -> None:
    """From the wheel and what it requires alone, the agent's command imports, and no server with it."""
    code = AGENT_ONLY.format(site=str(site))
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    loaded = done.stdout.split()
    forbidden = [*SERVER_LIBRARIES, *SERVER_ROOMS]
    assert [
        name for name in loaded if any(name == one or name.startswith(one + ".") for one in forbidden)
    ] == []


def test_server_libraries_are_not_there_without_the_extra(site: Path) -> None:
    """What the wheel alone requires brings no library of the server."""
    brought = SERVER_LIBRARIES - {"pydantic"}  # typer requires it; the test above says it is not loaded
    assert [name for name in sorted(brought) if (site / name).exists()] == []
