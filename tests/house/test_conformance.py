"""The conformance page holds what it promises: every word for a server has a row, and every row its test."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.conformance.mutants import MUTANTS
from tests.house.conformance_page import clauses, counts, further
from tests.house.tree import ROOT

BROKEN = re.compile(r"^.*(?:TypeError|AttributeError|NameError|values to unpack).*$", re.MULTILINE)
WORDS = frozenset({"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"})


def defined(file: str) -> set[str]:
    """Return the tests that a file defines; none if it is not there."""
    path = ROOT / "tests" / file
    if not path.is_file():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_section_has_a_row_for_each_word_that_binds_a_server() -> None:
    """The counts of the page are its rows, section by section, and in all."""
    found = Counter(clause.section for clause in clauses())
    told = counts()
    words, binding = told.pop("**All**")
    assert {section: rows for section, (_, rows) in told.items() if rows} == dict(found)
    assert sum(words for words, _ in told.values()) == words
    assert sum(found.values()) == binding


def test_no_word_is_counted_twice_or_out_of_its_section() -> None:
    """Ordinals lie within the section's words, and each is one."""
    told = counts()
    for clause in clauses():
        assert 1 <= clause.ordinal <= told[clause.section][0], clause
        assert clause.word in WORDS, clause
    named = Counter((clause.section, clause.ordinal) for clause in clauses())
    assert [key for key, times in named.items() if times > 1] == []


def test_every_row_names_a_test_of_the_tree() -> None:
    """A test that was renamed or removed is missed here."""
    rows = [(str(clause), clause.tests) for clause in clauses()] + further()
    missing = [
        f"{row}: {file}::{name}"
        for row, tests in rows
        for file, name in tests or [("", "no test")]
        if name not in defined(file)
    ]
    assert missing == []


def test_every_mutant_is_of_a_row_and_has_a_test_of_its_own() -> None:
    """The test that is to fail is one that the page names, and no other mutant's."""
    named = {test for clause in clauses() for test in clause.tests}
    named |= {test for _, tests in further() for test in tests}
    shown = [(mutant.file, mutant.test) for mutant in MUTANTS]
    assert set(shown) <= named
    assert len(set(shown)) == len(shown) == 10


def outcomes(report: Path) -> dict[str, set[str]]:
    """Return how the cases of each test ended, by the test's name: passed, failure, error, broken, skipped.

    What is put in has to fit: a program that merely breaks would make any test fail.
    """
    found: dict[str, set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        ended = {child.tag for child in case} & {"failure", "error", "skipped"} or {"passed"}
        if BROKEN.search("".join(case.itertext())):
            ended.add("broken")
        found.setdefault(case.attrib["name"].partition("[")[0], set()).update(ended)
    return found


def run(report: Path, *options: str) -> dict[str, set[str]]:
    """Run the tests of all mutants; return how they ended."""
    tests = [f"tests/{mutant.file}::{mutant.test}" for mutant in MUTANTS]
    words = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", *options, *tests]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert report.exists(), done.stdout[-2000:] + done.stderr[-500:]
    return outcomes(report)


def test_a_row_fails_when_its_behaviour_is_removed(tmp_path: Path) -> None:
    """With its behaviour taken out each test fails, by an assertion of its own; as it is, it passes."""
    removed = run(tmp_path / "removed.xml", "-p", "tests.conformance.mutants")
    kept = run(tmp_path / "kept.xml")
    assert {name: ends - {"passed"} for name, ends in removed.items()} == {
        mutant.test: {"failure"} for mutant in MUTANTS
    }
    assert kept == {mutant.test: {"passed"} for mutant in MUTANTS}
