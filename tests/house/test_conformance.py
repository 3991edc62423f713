"""The conformance page holds what it promises: every word for a server has a row, and every row its test."""

import ast
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

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


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_row_fails_when_its_behaviour_is_removed(mutant: object) -> None:
    """The named test, run with the behaviour taken out, fails; with it, it passes elsewhere."""
    chosen = next(one for one in MUTANTS if one is mutant)
    named = {test for clause in clauses() for test in clause.tests}
    assert (chosen.file, chosen.test) in named | {test for _, tests in further() for test in tests}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-p",
            "tests.conformance.mutants",
            f"tests/{chosen.file}::{chosen.test}",
        ],
        cwd=ROOT,
        env={**os.environ, "QM_TEST_MUTANT": chosen.name},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout[-2000:] + done.stderr[-500:]
    # What is put in has to fit: a program that merely breaks would make any test fail.
    assert not BROKEN.findall(done.stdout), done.stdout[-2000:]
