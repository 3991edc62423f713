"""Builds the wheel offline, and lays it out beside chosen libraries as an installation would."""

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT


def build_wheel(folder: Path) -> Path:
    """Build the wheel with the hatchling that is installed, and return it."""
    command = [str(Path(sys.executable).parent / "hatchling"), "build", "-t", "wheel", "-d", str(folder)]
    environment = {**os.environ, "PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def unpack(wheel: Path, folder: Path) -> Path:
    """Lay the wheel's files out as an installer would, and return the folder."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def needed(names: list[str], extras: frozenset[str] = frozenset()) -> set[str]:
    """Return the distributions that these requirements bring, themselves included, as installed here."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or []:
            inner = Requirement(text)
            wanted = [{"extra": extra} for extra in (one.extras | extras)] or [{"extra": ""}]
            if inner.marker is None or any(inner.marker.evaluate(environment) for environment in wanted):
                waiting.append(inner)
    return found


def link_libraries(distributions: set[str], folder: Path) -> None:
    """Make the installed files of these distributions, and of no other, importable from `folder`."""
    for name in sorted(distributions):
        distribution = metadata.distribution(name)
        tops = {
            Path(file.parts[0])
            for file in distribution.files or []
            if file.parts[0] not in {"..", "__pycache__"}
        }
        for top in tops:
            target = Path(str(distribution.locate_file(top)))
            if target.exists() and not (folder / top).exists():
                (folder / top).symlink_to(target)
