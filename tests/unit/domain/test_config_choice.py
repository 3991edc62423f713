"""Choosing: the higher priority wins and nothing else decides; what carries a secret goes by labels alone."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.domain.config_choice import (
    PRIORITY_MAX,
    Assignment,
    before_present,
    choose,
    combine,
    require_selectable,
)
from distribution.domain.config_template import Source, Variable
from distribution.domain.configuration import ConfigObject
from distribution.errors import InvalidError, PolicyError

ALL = Assignment("all", "base", 1)
PROD = Assignment("prod", "base", 2, 5, {"env": "prod"})
EDGE = Assignment("edge", "edge", 1, 1, {}, {"os.type": "linux"})


def objects(**bodies: str) -> dict[str, ConfigObject]:
    return {key: ConfigObject(body.encode()) for key, body in bodies.items()}


@pytest.mark.parametrize(
    ("labels", "attributes", "expected"),
    [
        ({}, {}, ["base@1"]),
        ({"env": "prod"}, {}, ["base@2"]),
        ({"env": "test"}, {"os.type": "linux"}, ["base@1", "edge@1"]),
        ({"env": "prod"}, {"os.type": "linux"}, ["edge@1", "base@2"]),
        ({"os.type": "linux"}, {"env": "prod"}, ["base@1"]),
    ],
)
def test_who_counts(labels: dict[str, str], attributes: dict[str, str], expected: list[str]) -> None:
    """Labels are labels and attributes are attributes; lowest priority first."""
    assert [str(one) for one in choose([PROD, EDGE, ALL], labels, attributes)] == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1], None),
        ([1, 1], None),
        ([1, 2], 1),
        ([1, 2, 2], 1),
        ([1, 2, 3, 2], 1),
        ([1, 2, 3, 2, 1], None),
        ([1, 2, 3, 2, 4], 2),
        ([1, 2, 1, 3], 1),
        ([1, 2, 3, 1], 3),
    ],
)
def test_what_was_taken_back_is_not_gone_back_to(numbers: list[int], expected: int | None) -> None:
    """A step to the version before undoes one; another selector is no other version."""
    found = before_present(Assignment("base", "base", number) for number in numbers)
    assert (found and found.number) == expected


def test_a_tie_at_the_top_is_refused_and_one_below_is_not() -> None:
    """Two of equal priority cannot both be it; where a higher one is there, they do not matter."""
    rival = Assignment("rival", "base", 3)
    with pytest.raises(
        PolicyError, match="'all' and 'rival' both bring configuration 'base' with priority 0"
    ):
        choose([rival, ALL], {}, {})
    assert choose([rival, ALL, PROD], {"env": "prod"}, {}) == (PROD,)


@given(st.permutations([ALL, PROD, EDGE, Assignment("x", "x", 1, 3), Assignment("y", "y", 1, 3)]))
def test_the_order_they_come_in_does_not_matter(given_order: list[Assignment]) -> None:
    """Whatever the order of the rows, the choice is the same."""
    found = choose(given_order, {"env": "prod"}, {"os.type": "linux"})
    assert [one.name for one in found] == ["edge", "x", "y", "prod"]


def test_objects_of_one_key() -> None:
    """The highest priority's object is it; the others stay; parts may come in any order."""
    low, high = (ALL, objects(a="low", b="low")), (PROD, objects(b="high", c="high"))
    for parts in itertools.permutations([low, high]):
        found = combine(parts)
        assert {key: one.body for key, one in found.objects.items()} == {
            "a": b"low",
            "b": b"high",
            "c": b"high",
        }
        assert found.origin == "base@1, base@2"


def test_objects_that_tie() -> None:
    """Two of equal priority with one key are refused by both names, unless a third is above them."""
    one, two = Assignment("one", "a", 1), Assignment("two", "b", 1)
    parts = [(two, objects(x="2")), (one, objects(x="1"))]
    with pytest.raises(PolicyError, match="'one' and 'two' both have an object of key 'x' with priority 0"):
        combine(parts)
    assert combine([*parts, (PROD, objects(x="3"))]).objects["x"].body == b"3"


@pytest.mark.parametrize(
    ("secret", "variables"),
    [(True, []), (False, [Variable(Source.VALUE, "x")])],
    ids=["declared secret", "an agent's own value"],
)
def test_what_carries_a_secret(secret: object, variables: list[Variable]) -> None:
    """It is selected by labels alone."""
    require_selectable(PROD, secret=bool(secret), variables=variables)
    with pytest.raises(InvalidError, match=r"edge@1 carries a secret.*\['os.type'\] are what an agent says"):
        require_selectable(EDGE, secret=bool(secret), variables=variables)


def test_what_carries_none() -> None:
    """It may be selected by what an agent says, and be made of labels."""
    require_selectable(EDGE, secret=False, variables=[Variable(Source.LABEL, "site")])


@pytest.mark.parametrize("priority", [-1, PRIORITY_MAX + 1])
def test_priorities_are_bounded(priority: int) -> None:
    """A priority out of bounds is refused."""
    with pytest.raises(InvalidError, match=f"priority {priority} is not from 0"):
        require_selectable(Assignment("a", "a", 1, priority), secret=False, variables=[])
