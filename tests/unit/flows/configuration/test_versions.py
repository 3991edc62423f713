"""Configurations by operators: versions that never change, judged before they are assigned, and back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distribution.domain.config_choice import Assignment
from distribution.domain.configuration import ConfigObject
from distribution.errors import ConflictError, InvalidError, PolicyError, UnknownError
from distribution.fleet import config_assignments
from distribution.flows.configuration import values, versions
from keys.identity import AgentId
from tests.fakes.configured import NOW, Configured, configured, view
from tests.fakes.databases import journalled

WHO = AgentId(view().uid)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Configured]:
    with configured(tmp_path) as found:
        yield found


def test_versions_are_numbered_and_the_same_content_is_the_same_version(fleet: Configured) -> None:
    """Other content is the next number; content that is there is the version it was, and journalled once."""
    numbers = [fleet.create("base", body).number for body in ("a: 1", "a: 2", "a: 1", "a: 3")]
    assert numbers == [1, 2, 1, 3]
    assert fleet.kinds() == ["config.created"] * 3


def test_a_flag_makes_another_version(fleet: Configured) -> None:
    """The same objects declared secret are not the version that was not."""
    assert [fleet.create("base").number, fleet.create("base", secret=True).number] == [1, 2]


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ({}, "has 0 objects"),
        ({"x": ConfigObject(b" \n", "text/plain")}, "body is empty"),
        ({"x": ConfigObject(b"# only words", "text/yaml")}, "its YAML says nothing"),
        ({"x": ConfigObject(b"{}", "application/json")}, "its JSON says nothing"),
        ({"x": ConfigObject(b"a: [", "yaml")}, "object 'x': text is not YAML: line 2"),
        ({"x": ConfigObject(b"a: 1\na: 2", "text/yaml")}, "key 'a' is there twice"),
        ({"x": ConfigObject(b"x" * (1 << 20), "text/plain"), "y": ConfigObject(b"y")}, "at most 1048576"),
        ({"x" * 256: ConfigObject(b"a: 1", "text/yaml")}, "more than 255"),
        ({"x\n": ConfigObject(b"a: 1", "text/yaml")}, "does not print"),
        ({"x": ConfigObject(b"password: hunter2", "text/yaml")}, "password looks like a secret"),
        ({"x": ConfigObject(b"a: ${qm:nobody}", "text/yaml")}, "is not uid, or label"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_become_a_version(fleet: Configured, objects: dict[str, ConfigObject], why: str) -> None:
    """What is malformed, empty or too large is refused by the object's key, and nothing is kept."""
    with pytest.raises(InvalidError, match=why):
        versions.create(fleet.parts, "base", objects, secret=False, actor="operator:ann", now=NOW)
    assert (fleet.kinds(), fleet.validator.seen) == ([], [])


def test_a_reference_is_no_secret(fleet: Configured) -> None:
    """A configuration that says where a secret is needs no flag."""
    assert fleet.create("base", "password: ${env:DB_PASSWORD}").number == 1


def test_what_the_validator_refuses_is_kept_but_not_assigned(fleet: Configured) -> None:
    """A version that failed stays to be looked at; assigning it fails in the validator's words."""
    fleet.validator.valid, fleet.validator.name, fleet.validator.words = False, "check", "unknown type foo"
    assert not fleet.create("base").judgement.valid
    with pytest.raises(ConflictError, match="refused by 'check': unknown type foo"):
        fleet.assign(Assignment("base", "base", 1))


def test_another_validator_has_to_judge_first(fleet: Configured) -> None:
    """What nobody or another validator judged is assigned only after the one that is set did."""
    fleet.create("base")
    fleet.validator.name = "check"
    with pytest.raises(ConflictError, match="have it validated first"):
        fleet.assign(Assignment("base", "base", 1))
    versions.judge(fleet.parts, "base", 1, actor="operator:ann", now=NOW)
    assert fleet.assign(Assignment("base", "base", 1)).number == 1
    assert fleet.kinds() == ["config.created", "config.judged", "config.assigned"]


def test_an_assignment_is_journalled_and_wakes(fleet: Configured) -> None:
    """The step, its entry and a wake-up of everybody are one story."""
    fleet.create("base")
    fleet.assign(Assignment("base", "base", 1, 5, {"env": "prod"}))
    entry = journalled(fleet.database)[-1]
    assert (entry.kind, entry.subject) == ("config.assigned", "config-assignment:base")
    assert entry.detail == {
        "version": "base@1",
        "before": None,
        "priority": 5,
        "labels": {"env": "prod"},
        "attributes": {},
    }
    assert fleet.connections.woken == [None]


def test_what_is_not_there_is_not_assigned(fleet: Configured) -> None:
    """An unknown version is refused by its name, and nobody is woken."""
    with pytest.raises(UnknownError, match="base@9"):
        fleet.assign(Assignment("base", "base", 9))
    assert fleet.connections.woken == []


def test_two_assignments_that_would_tie_are_refused(fleet: Configured) -> None:
    """The same configuration for the same agents with the same priority is refused, naming both."""
    fleet.create("base")
    fleet.create("base", "a: 2")
    fleet.assign(Assignment("first", "base", 1))
    with pytest.raises(ConflictError, match=r"'first' brings configuration 'base'.*as 'second'"):
        fleet.assign(Assignment("second", "base", 2))
    assert fleet.assign(Assignment("second", "base", 2, 1)).number == 1


def test_back_and_further_back(fleet: Configured) -> None:
    """Back is the version before the present one, with the selector as it is now; twice is the one before."""
    for body in ("a: 1", "a: 2", "a: 3"):
        fleet.create("base", body)
    for number in (1, 2, 3):
        fleet.assign(Assignment("base", "base", number, labels={"step": str(number)}))
    backed = [fleet.back("base").assignment for _ in range(2)]
    assert [(one.number, one.labels) for one in backed] == [(2, {"step": "3"}), (1, {"step": "3"})]
    with pytest.raises(ConflictError, match="no version before base@1 to go back to"):
        fleet.back("base")
    with fleet.database.read() as connection:
        steps = config_assignments.history(connection, "base")
    assert [(step.number, step.assignment.number, step.counts) for step in steps] == [
        (1, 1, False),
        (2, 2, False),
        (3, 3, False),
        (4, 2, False),
        (5, 1, True),
    ]


def test_two_operators_at_once_do_not_undo_each_other(fleet: Configured) -> None:
    """Whoever says which step he saw is refused where somebody else was first, and told who and what."""
    for body in ("a: 1", "a: 2", "a: 3"):
        fleet.create("base", body)
    wanted = Assignment("base", "base", 1)

    def assign(one: Assignment, at_step: int) -> None:
        versions.assign(fleet.parts, one, actor="operator:bob", now=NOW, at_step=at_step)

    with pytest.raises(ConflictError, match="'base' is not there, expected at step 3"):
        assign(wanted, 3)
    assign(wanted, 0)
    with pytest.raises(ConflictError, match=r"at step 1 \(base@1 by operator:bob\), expected to be new"):
        assign(wanted, 0)
    assign(replace(wanted, number=2), 1)
    assign(replace(wanted, number=3), 2)
    versions.back(fleet.parts, "base", actor="operator:ann", now=NOW, at_step=3)
    with pytest.raises(ConflictError, match=r"at step 4 \(base@2 by operator:ann\), expected at step 3"):
        versions.back(fleet.parts, "base", actor="operator:bob", now=NOW, at_step=3)
    with pytest.raises(ConflictError, match="expected at step 3"):
        assign(replace(wanted, labels={"env": "prod"}), 3)
    assert fleet.bodies(view()) == {}
    fleet.board.reload()
    assert fleet.bodies(view()) == {"": "a: 2"}


def test_nothing_to_go_back_to(fleet: Configured) -> None:
    """An assignment that had one version only cannot go back; one that is not there is unknown."""
    fleet.create("base")
    fleet.assign(Assignment("base", "base", 1))
    with pytest.raises(ConflictError, match="no version before base@1 to go back to"):
        fleet.back("base")
    with pytest.raises(UnknownError, match="'other' does not exist"):
        fleet.back("other")


def test_unassigning_leaves_agents_alone(fleet: Configured) -> None:
    """An assignment that is taken away says nothing any more: no empty configuration is made of it."""
    fleet.create("base")
    fleet.assign(Assignment("base", "base", 1))
    versions.unassign(fleet.parts, "base", actor="operator:ann", now=NOW)
    fleet.board.reload()
    assert fleet.board.config_for(view()) is None
    assert fleet.kinds()[-1] == "config.unassigned"
    with pytest.raises(UnknownError):
        versions.unassign(fleet.parts, "base", actor="operator:ann", now=NOW)


def test_values_are_named_in_the_journal_and_not_told(fleet: Configured) -> None:
    """Setting variables of an agent journals their names alone, wakes that agent alone."""
    held = values.set_values(fleet.parts, WHO, {"key": "s3cret", "x": None}, actor="operator:ann", now=NOW)
    entry = journalled(fleet.database)[-1]
    assert [one.name for one in held.names] == ["key"]
    assert (entry.kind, entry.detail) == ("config.valued", {"set": ["key"], "removed": ["x"]})
    assert fleet.connections.woken == [(WHO,)]


@pytest.mark.parametrize("value", ["a\nb", "${env:HOME}", "x" * 1025], ids=["lines", "reference", "long"])
def test_a_value_that_may_not_stand_anywhere(fleet: Configured, value: str) -> None:
    """What could be more than a value is refused when it is set, without telling it."""
    with pytest.raises(PolicyError, match="may be printable") as caught:
        values.set_values(fleet.parts, WHO, {"x": value}, actor="operator:ann", now=NOW)
    assert value not in str(caught.value)
