"""What the product imports is what pyproject.toml requires: nothing comes by chance with something else."""

import sys
import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import OURS, ROOT, UNKNOWN_IMPORT, imports, product, within

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWNERS = metadata.packages_distributions()
AGENT = (
    "distribution.agent",
    "distribution.domain",
    "distribution.errors",
    "distribution.protocol.wire",
    "opamp",
)


def required(texts: list[str]) -> set[str]:
    """Return the distributions that requirements name."""
    return {canonicalize_name(Requirement(text).name) for text in texts}


def foreign(rooms: tuple[str, ...]) -> dict[str, str]:
    """Return the distributions that these rooms import, each with one place where that happens."""
    found: dict[str, str] = {}
    for module in product():
        if any(within(module.name, room) for room in rooms):
            for line, target in imports(module):
                top = target.partition(".")[0]
                if top not in OURS and top not in sys.stdlib_module_names and target != UNKNOWN_IMPORT:
                    owners = OWNERS.get(top, [top])
                    found[canonicalize_name(owners[0])] = f"{module.name}:{line}"
    return found


def test_everything_imported_is_required() -> None:
    """Each distribution that the product imports is required, for the agent or for the server."""
    known = required([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["server"]])
    assert {name: place for name, place in foreign(OURS).items() if name not in known} == {}


def test_the_agent_imports_what_the_wheel_alone_brings() -> None:
    """Each distribution that the agent imports is required without the extra."""
    known = required(PROJECT["dependencies"])
    assert {name: place for name, place in foreign(AGENT).items() if name not in known} == {}


def test_everything_required_is_imported() -> None:
    """Nothing is required that the product never imports."""
    plugins = {"httptools", "uvloop", "psycopg"}  # uvicorn and sqlalchemy load these by name
    known = required([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["server"]])
    assert sorted(known - foreign(OURS).keys() - plugins) == []
