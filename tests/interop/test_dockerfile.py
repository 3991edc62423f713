"""The Dockerfile's steps, run in an empty folder, give an agent, a server and tests that pass."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.dockerfile import Builder, read
from tests.house.layers import SERVER_LIBRARIES

ROOT = Path(__file__).resolve().parents[2]
WHERE = "import distribution, keys, storage, opamp; print(distribution.__file__)"
PRESENT = "import importlib.util as u, json; print(json.dumps([n for n in {names!r} if u.find_spec(n)]))"


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """A builder on an empty folder with a short name."""
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    try:
        yield Builder(*read((ROOT / "Dockerfile").read_text("utf-8")), ROOT, folder)
    finally:
        shutil.rmtree(folder)


def test_the_agents_image_holds_an_agent_alone(builder: Builder) -> None:
    """The agent's image starts, from the installed wheel, and holds no library of the server."""
    builder.build("agent")
    started = builder.run("agent", [*builder.command("agent")[:1], "--help"])
    assert started.returncode == 0, started.stderr
    names = sorted(SERVER_LIBRARIES - {"pydantic"})  # typer brings it; the agent does not load it
    assert json.loads(builder.run("agent", ["python", "-c", PRESENT.format(names=names)]).stdout) == []


def test_the_servers_image_starts(builder: Builder) -> None:
    """The server's image starts, and knows the command that it runs by default."""
    builder.build("server")
    entry, *command = builder.command("server")
    started = builder.run("server", [entry, *command[:1], "--help"])
    assert started.returncode == 0, started.stderr


def test_the_tests_pass_on_the_installed_wheel(builder: Builder) -> None:
    """In the test image, where only tests/ is of the checkout, the tests pass on the installed wheel."""
    builder.build("test")
    where = builder.run("test", ["python", "-c", WHERE]).stdout
    assert "site-packages/distribution/__init__.py" in where
    once_is_enough = ["-m", "not rounds"]  # `make test` tells the long stories of kills and fuzzing
    done = builder.run("test", [*builder.command("test"), *once_is_enough])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
