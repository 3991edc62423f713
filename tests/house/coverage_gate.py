"""The per-file gate: each file of the rooms that hold trust is covered by the test file that mirrors it.

One run of pytest measures all mirrors; tests/conftest.py records every line under the test file that caused
it. A source file is then asked how much of it its own mirror covers, together with what importing it runs.
What other tests happen to touch counts for nothing.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coverage import Coverage

from tests.house.tree import ROOT, functions

GATED = ("keys", "distribution/protocol", "distribution/catalog")
LINES_PERCENT = 100.0
BRANCHES_PERCENT = 95.0
_SETTINGS = "[run]\nbranch = true\nsource_pkgs =\n    distribution\n    keys\n    storage\n"
_REPORT = "[report]\nexclude_also =\n    \\.\\.\\.$\n    raise NotImplementedError\n    def __repr__\n"


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of one file its own tests cover."""

    source: str
    mirror: str
    missing_lines: tuple[int, ...]
    branches_percent: float

    @property
    def fault(self) -> str | None:
        """Say what is lacking, or None."""
        if self.missing_lines:
            return f"{self.source}: {self.mirror} leaves out lines {', '.join(map(str, self.missing_lines))}"
        if self.branches_percent < BRANCHES_PERCENT:
            return f"{self.source}: {self.mirror} covers {self.branches_percent:.0f} % of the branches"
        return None


def sources(root: Path = ROOT) -> list[Path]:
    """Return the gated files: those that define a function, because a list of names needs no test."""
    found = (path for room in GATED for path in sorted((root / room).rglob("*.py")))
    return [path for path in found if any(functions(ast.parse(path.read_text(encoding="utf-8"))))]


def mirrors(source: Path, root: Path = ROOT) -> tuple[Path, ...]:
    """Return where a file's own tests may lie: tests/unit repeats the tree, maybe without `distribution`."""
    place = source.relative_to(root).parent
    short = Path(*place.parts[1:]) if place.parts[0] == "distribution" else place
    return tuple(
        root / "tests" / "unit" / one / f"test_{source.stem}.py" for one in dict.fromkeys((short, place))
    )


def measure(folder: Path, root: Path = ROOT) -> Coverage:
    """Run every mirror once under coverage and return what was measured, kept in `folder`.

    Raises:
        RuntimeError: a test of a mirror failed; the message is pytest's summary.
    """
    settings, data = folder / "gate.rc", folder / "gate.data"
    settings.write_text(_SETTINGS + _REPORT, encoding="utf-8")
    tests = [str(mirror) for source in sources(root) for mirror in mirrors(source, root) if mirror.exists()]
    command = [
        "coverage",
        "run",
        f"--rcfile={settings}",
        f"--data-file={data}",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
    ]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))
    }
    done = subprocess.run(
        [sys.executable, "-m", *command, *dict.fromkeys(tests)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the mirrors themselves fail:\n{done.stdout[-4000:]}{done.stderr[-1000:]}")
    measured = Coverage(data_file=str(data), config_file=str(settings))
    measured.load()
    return measured


def ask(measured: Coverage, folder: Path, root: Path = ROOT) -> Iterator[Covered]:
    """Yield for each gated file how much its own mirror covers."""
    for source in sources(root):
        mirror = next((one for one in mirrors(source, root) if one.exists()), mirrors(source, root)[0])
        contexts = ["^$", f"^{mirror.relative_to(root).as_posix()}$"]
        report = folder / "file.json"
        measured.json_report(outfile=str(report), include=[str(source)], contexts=contexts)
        file = next(iter(json.loads(report.read_text(encoding="utf-8"))["files"].values()))
        summary = file["summary"]
        branches = 100.0 * summary["covered_branches"] / (summary["num_branches"] or 1)
        yield Covered(
            source=source.relative_to(root).as_posix(),
            mirror=mirror.relative_to(root).as_posix(),
            missing_lines=tuple(file["missing_lines"]),
            branches_percent=branches if summary["num_branches"] else 100.0,
        )
