"""The Dockerfile's steps, run on the system it names, give an agent, a server and tests that pass."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.dockerfile import BASE_PYTHON, BASE_SYSTEM, Builder, read
from tests.house.layers import SERVER_LIBRARIES
from tests.interop.debian_parts import DEBIAN
from tests.interop.parts import require

ROOT = Path(__file__).resolve().parents[2]
WHERE = "import distribution, keys, storage, opamp; print(distribution.__file__)"
ABOUT = (
    "import json, platform, ssl, sys; print(json.dumps({'python': '{}.{}'.format(*sys.version_info), "
    "'system': platform.freedesktop_os_release()['VERSION_CODENAME'], 'openssl': ssl.OPENSSL_VERSION_INFO}))"
)
PRESENT = "import importlib.util as u, json; print(json.dumps([n for n in {names!r} if u.find_spec(n)]))"


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """A builder on an empty folder with a short name, whose commands run on the base's system."""
    folder, debian = Path(tempfile.mkdtemp(prefix="image-")), str(require(DEBIAN))
    text = (ROOT / "Dockerfile").read_text("utf-8")
    try:
        yield Builder(*read(text), ROOT, folder, lambda words: [debian, str(folder), "--", *words])
    finally:
        shutil.rmtree(folder)


def test_the_agents_image_holds_an_agent_alone(builder: Builder) -> None:
    """The agent's image starts, from the installed wheel, and holds no library of the server."""
    builder.build("agent")
    started = builder.run("agent", [*builder.command("agent")[:1], "--help"])
    assert started.returncode == 0, started.stderr
    names = sorted(SERVER_LIBRARIES - {"pydantic"})  # typer brings it; the agent does not load it
    assert json.loads(builder.run("agent", ["python", "-c", PRESENT.format(names=names)]).stdout) == []


def test_the_base_is_what_the_dockerfile_names(builder: Builder) -> None:
    """What stands for the base has its Python, of its system, over an OpenSSL that shakes hands fast."""
    builder.build("tools")
    about = json.loads(builder.run("tools", ["python", "-c", ABOUT]).stdout)
    assert (about["python"], about["system"]) == (BASE_PYTHON, BASE_SYSTEM)
    assert about["openssl"] >= [3, 5]


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
