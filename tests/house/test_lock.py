"""The lock pins and hashes everything, names no registry, and is in line with pyproject.toml."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_PIN = re.compile(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ \\;\n]+)")


def blocks() -> list[str]:
    """Return the lock cut into one block a pin."""
    return [block for block in re.split(r"(?m)^(?=[A-Za-z0-9])", LOCK) if block.strip()]


def wanted() -> list[Requirement]:
    """Return what pyproject.toml asks for: the agent's, the server's and the developer's."""
    project = PROJECT["project"]
    lists = [
        project["dependencies"],
        project["optional-dependencies"]["server"],
        PROJECT["dependency-groups"]["dev"],
    ]
    return [Requirement(text) for one in lists for text in one]


def test_every_pin_has_a_hash() -> None:
    """Each block pins one exact version and carries at least one SHA-256."""
    assert [
        block.partition("\n")[0]
        for block in blocks()
        if not _PIN.match(block) or "--hash=sha256:" not in block
    ] == []
    assert len(blocks()) > len(wanted())


def test_no_registry_is_named() -> None:
    """The lock holds no address and no index option."""
    assert re.findall(r"(?i)\S*://\S*|--(?:extra-)?index-url.*|--find-links.*", LOCK) == []


def test_the_lock_pins_what_the_project_asks_for() -> None:
    """Every requirement of pyproject.toml is pinned at a version that satisfies it."""
    pins = {canonicalize_name(name): version for name, version in _PIN.findall(LOCK)}
    unmet = [
        f"{requirement} is pinned at {pins.get(canonicalize_name(requirement.name))}"
        for requirement in wanted()
        if not requirement.specifier.contains(
            pins.get(canonicalize_name(requirement.name), "0.dev0"), prereleases=True
        )
    ]
    assert "\n".join(unmet) == ""


def test_the_lock_names_the_project_for_nothing_else() -> None:
    """What the lock says was asked for by the project is what pyproject.toml asks for."""
    claimed = {
        canonicalize_name(block.partition("==")[0].partition("[")[0])
        for block in blocks()
        if re.search(r"# +(?:via )?opamp-quartermaster", block) or "pyproject.toml" in block
    }
    assert claimed == {canonicalize_name(requirement.name) for requirement in wanted()}


def test_one_package_can_be_cut_out(tmp_path: Path) -> None:
    """The set-up's script cuts uv's pin and all its hashes out of the lock, and nothing else."""
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "cut_lock.py"), "uv"],
        input=LOCK,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert _PIN.findall(done.stdout) == [pin for pin in _PIN.findall(LOCK) if pin[0] == "uv"]
    assert done.stdout.count("--hash=") == next(
        block for block in blocks() if block.startswith("uv==")
    ).count("--hash=")
