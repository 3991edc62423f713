"""The page about what real clients force on the server: each fact has a test of the tree, or a reason."""

from collections import Counter

from tests.house.interop_page import ALL, counts, facts
from tests.house.test_conformance import defined


def test_the_counts_are_those_of_the_rows() -> None:
    """Section by section, and in all: how many facts there are, and how many of them have a test."""
    told = counts()
    total = told.pop(ALL)
    rows = Counter(fact.section for fact in facts())
    shown = Counter(fact.section for fact in facts() if fact.tests)
    assert told == {section: (rows[section], shown[section]) for section in rows}
    assert total == (rows.total(), shown.total())


def test_every_fact_names_tests_of_the_tree() -> None:
    """A test that was renamed or removed is missed here; a reason stands where there never was one."""
    missing = [
        f"{fact.says} {file}::{name}"
        for fact in facts()
        for file, name in fact.tests
        if name not in defined(file)
    ]
    assert missing == []


def test_no_test_is_named_twice_in_a_row() -> None:
    """Nor is a fact told twice in a section; nothing is left empty."""
    twice = [fact.says for fact in facts() if len(set(fact.tests)) < len(fact.tests)]
    assert twice == []
    told = Counter((fact.section, fact.says) for fact in facts())
    assert [key for key, times in told.items() if times > 1] == []
    assert [fact for fact in facts() if not fact.says or not fact.answer] == []
