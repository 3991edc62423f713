"""The scripts that a run rests on: the totals tell the truth, and a part that is missing is named."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.interop import parts

CASE = '<testsuite><testcase name="a"/><testcase name="b">{bad}</testcase></testsuite>'


def totals(folder: Path, *steps: str) -> tuple[int, list[str]]:
    """Return status and lines of the totals over the reports in a folder."""
    command = [sys.executable, str(ROOT / ".ci" / "totals.py"), str(folder), *steps]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def test_the_totals_add_up(tmp_path: Path) -> None:
    """Passed tests of all steps are added, and a run without a failure ends with 0."""
    for name in ("test", "check"):
        (tmp_path / f"{name}.xml").write_text(CASE.format(bad=""), encoding="utf-8")
    status, lines = totals(tmp_path, "test=0", "check=0")
    assert (status, lines[-1]) == (0, "4 passed, 0 failed")


@pytest.mark.parametrize("bad", ["<failure/>", "<error/>", "<skipped/>"])
def test_what_did_not_pass_has_failed(tmp_path: Path, bad: str) -> None:
    """A failure, an error and a skipped test all count as failed."""
    (tmp_path / "test.xml").write_text(CASE.format(bad=bad), encoding="utf-8")
    status, lines = totals(tmp_path, "test=1")
    assert (status, lines[-1]) == (1, "1 passed, 1 failed")


@pytest.mark.parametrize("steps", [(), ("test=0",), ("test=2",)])
def test_a_run_that_did_nothing_has_failed(tmp_path: Path, steps: tuple[str, ...]) -> None:
    """No step, and a step without a report, are no success."""
    assert totals(tmp_path, *steps)[0] == 1


def test_a_step_that_failed_outside_its_tests_has_failed(tmp_path: Path) -> None:
    """A step whose command failed though all its tests passed counts as one failure, with its status."""
    (tmp_path / "test.xml").write_text(CASE.format(bad=""), encoding="utf-8")
    status, lines = totals(tmp_path, "test=7")
    assert (status, lines) == (
        1,
        ["make test: 2 passed, 1 failed (make test ended with 7)", "2 passed, 1 failed"],
    )


def test_a_missing_part_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that cannot be built is an error with its name, version and reason; nothing is left."""

    def make(folder: Path) -> None:
        (folder / "thing").write_text("half of it", encoding="utf-8")
        raise parts.MissingPartError("no compiler")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    part = parts.Part("thing", "v1.2.3", make)
    with pytest.raises(parts.MissingPartError, match=r"thing v1\.2\.3 is missing: no compiler"):
        parts.require(part)
    assert [path.name for path in parts.cache_folder().iterdir()] == ["thing-v1.2.3.lock"]


def test_a_part_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time, a part comes from the cache, under its name and version."""
    built: list[Path] = []

    def make(folder: Path) -> None:
        built.append(folder)
        (folder / "thing").write_text("whole", encoding="utf-8")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    part = parts.Part("thing", "v1.2.3", make)
    assert parts.require(part) == parts.require(part)
    assert part.program == tmp_path / "quartermaster-interop" / "thing-v1.2.3" / "thing"
    assert len(built) == 1
