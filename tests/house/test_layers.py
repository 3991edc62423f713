"""Imports point down the floors, and each room keeps to what it may know."""

import ast
from pathlib import Path

import pytest

from tests.house.layers import FAR_NEVERS, NAMES, PURE, faults, reach
from tests.house.tree import Module, product, within, written


def planted(name: str, text: str) -> list[str]:
    """Return the faults that one more module with this text would bring."""
    new = Module(name, Path(name.replace(".", "/") + ".py"), text)
    others = [module for module in product() if module.name != name]
    before = set(faults(others))
    return [fault for fault in faults([*others, new]) if fault not in before]


def test_imports_point_down() -> None:
    """No module of the product imports upward, sideways, or what its room never may."""
    assert "\n".join(faults(product())) == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("storage.planted", "import keys.errors"),
        ("keys.planted", "def f():\n    from distribution.domain import package"),
        (
            "keys.planted",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import distribution.errors",
        ),
        ("distribution.domain.planted", "from keys import identity"),
        ("distribution.domain.planted", "import asyncio"),
        ("distribution.protocol.planted", "from distribution.catalog import repository"),
        ("distribution.protocol.planted", "import sqlalchemy.orm"),
        ("distribution.agent.planted", "from keys.authority import Authority"),
        ("distribution.agent.planted", "import importlib\nimportlib.import_module('starlette')"),
        ("distribution.pipeline.planted", "from distribution import fleet"),
        ("distribution.flows.planted", "from distribution.transport import hub"),
        ("distribution.flows.planted", "from storage.s3 import S3Store"),
        ("distribution.flows.planted", "from opamp.v1 import opamp_pb2"),
        ("distribution.transport.planted", "from distribution import cli"),
        ("distribution.transport.planted", "import boto3"),
        ("distribution.transport.planted", "name = 'x'\n__import__(name)"),
        ("distribution.loose", "'''In no room.'''"),
    ],
)
def test_a_planted_fault_is_caught(name: str, text: str) -> None:
    """An import that the house forbids is named, be it lazy, for types only or by a call."""
    assert planted(name, text)


def test_an_import_downward_is_allowed() -> None:
    """A room may import what lies below it."""
    assert (
        planted(
            "distribution.flows.planted", "from keys import identity\nfrom storage.objects import ObjectStore"
        )
        == []
    )


@pytest.mark.parametrize(("room", "forbidden"), FAR_NEVERS, ids=[room for room, _ in FAR_NEVERS])
def test_nothing_forbidden_comes_along(room: str, forbidden: frozenset[str]) -> None:
    """What a room may not have is not brought by something it imports, either."""
    found = reach(room, product())
    assert found
    strays = [
        f"{by} imports {name}" for name, by in found.items() if any(within(name, one) for one in forbidden)
    ]
    assert "\n".join(strays) == ""


def spoken(module: Module) -> set[str]:
    """Return every name and attribute that a module says."""
    nodes = list(ast.walk(module.tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return names | {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_private_keys_are_opened_in_one_file_a_program() -> None:
    """Only the owners of a name that opens a private key say it."""
    strays = [
        f"{module.name} says {name}"
        for module in written()
        for name, owners in NAMES
        if name in spoken(module) and not any(within(module.name, owner) for owner in owners)
    ]
    assert "\n".join(strays) == ""


def test_pure_rooms_read_no_environment() -> None:
    """Decisions take what they need as arguments: no `environ`, no `getenv`, no clock of their own."""
    strays = [
        f"{module.name} says {name}"
        for module in written()
        if any(within(module.name, room) for room in PURE)
        for name in sorted(spoken(module) & {"environ", "getenv", "utcnow"})
    ]
    assert "\n".join(strays) == ""


def test_nothing_hides_behind_type_checking() -> None:
    """A type wanted from above lies in the wrong file: `TYPE_CHECKING` is not said in the product."""
    assert [module.name for module in written() if "TYPE_CHECKING" in spoken(module)] == []


def test_the_product_asserts_nothing() -> None:
    """A check that must hold raises; `assert` can be switched off."""
    strays = [
        f"{module.name}:{node.lineno}"
        for module in written()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assert)
    ]
    assert "\n".join(strays) == ""


def test_packages_are_docstrings() -> None:
    """An `__init__.py` holds a docstring and nothing else, so that importing one file loads one file."""
    strays = [
        module.name
        for module in written()
        if module.path.name == "__init__.py"
        and not (len(module.tree.body) == 1 and isinstance(module.tree.body[0], ast.Expr))
    ]
    assert "\n".join(strays) == ""
