"""Several configurations of one agent: judged as the one that it gets, before it gets it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.domain.config_choice import Assignment
from distribution.domain.configuration import ConfigVersion
from distribution.errors import BusyError, ConflictError, HostError, PolicyError
from distribution.fleet.configurations import Judgement
from distribution.flows.configuration import together
from distribution.flows.configuration.board import ConfigBoard
from distribution.flows.configuration.render import Ready, ready
from distribution.flows.configuration.together import Part, Together, as_one, certain, nothing_set
from tests.fakes.configured import Configured, SpokenValidator, configured, view, yaml

BASE, EXTRA = Assignment("base", "base", 1), Assignment("extra", "extra", 2, priority=5)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Configured]:
    """One whose validator finds each version valid, and refuses whatever has two objects."""
    with configured(tmp_path) as fleet:
        fleet.validator = NoPairs()
        fleet.together = Together(fleet.validator)
        fleet.board = ConfigBoard(fleet.database, fleet.seal, fleet.together)
        yield fleet


class NoPairs(SpokenValidator):
    """Finds a configuration of one object valid, and none of more."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "pairs"
        self.error: Exception | None = None

    def judge(self, found: Ready) -> Judgement:
        if self.error is not None:
            raise self.error
        super().judge(found)
        alone = len(found.version.objects) == 1
        return Judgement(alone, self.name, "" if alone else "they bite each other")


def part(assignment: Assignment, **texts: str) -> Part:
    objects = {"" if key == "_" else key: yaml(text) for key, text in texts.items()}
    return assignment, ready(ConfigVersion(assignment.config, assignment.number, objects))


def test_the_whole_is_what_an_agent_gets() -> None:
    """Of one key the higher priority's object, with its variables; every other object as it is."""
    parts = [part(BASE, _="a: ${qm:uid}", b="b: 1"), part(EXTRA, _="a: ${qm:label.site}", c="c: ${qm:uid}")]
    whole = as_one(parts)
    assert {key: one.body.decode() for key, one in whole.version.objects.items()} == {
        "": "a: ${qm:label.site}",
        "b": "b: 1",
        "c": "c: ${qm:uid}",
    }
    assert set(whole.templates) == {"", "c"}
    assert whole.templates[""] is parts[1][1].templates[""]
    assert sorted(map(str, whole.variables)) == ["${qm:label.site}", "${qm:uid}"]


def test_nothing_is_offered_before_it_was_judged() -> None:
    """It waits, is judged once, and then is offered, or never."""
    validator = SpokenValidator()
    validator.name = "otelcol"
    found, parts = Together(validator), [part(BASE, _="a: 1"), part(EXTRA, b="b: 1")]
    for _ in range(2):
        with pytest.raises(PolicyError, match="base@1 and extra@2 wait to be validated together"):
            found.require(parts)
    assert found.judge_waiting()
    found.require(parts)
    assert not found.judge_waiting()
    assert len(validator.seen) == 1
    validator.valid, validator.words = False, "no such exporter"
    other = [part(BASE, _="a: 1"), part(Assignment("extra", "extra", 3), b="b: 1")]
    assert not found.judge(other).valid
    with pytest.raises(PolicyError, match="base@1 and extra@3 together were refused by 'otelcol': no such"):
        found.require(other)
    assert len(validator.seen) == 2


def test_one_alone_and_a_server_without_a_validator_wait_for_nothing() -> None:
    """One was judged when it was made; without a validator nobody judges."""
    validator = SpokenValidator()
    validator.name = "otelcol"
    Together(validator).require([part(BASE, _="a: 1")])
    nothing_set().require([part(BASE, _="a: 1"), part(EXTRA, b="b: 1")])
    assert validator.seen == []


@pytest.mark.parametrize("error", [BusyError("two are"), HostError("no such file")])
def test_a_validator_that_cannot_be_asked_is_asked_again(error: Exception) -> None:
    """What waits goes on waiting, and nothing is offered meanwhile."""
    validator, parts = NoPairs(), [part(BASE, _="a: 1"), part(EXTRA, _="b: 1")]
    found = Together(validator)
    with pytest.raises(PolicyError):
        found.require(parts)
    validator.error = error
    assert not found.judge_waiting()
    with pytest.raises(PolicyError, match="wait to be validated"):
        found.require(parts)
    validator.error = None
    assert found.judge_waiting()
    found.require(parts)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents make wholes by what they say: only so many wait, and only so many judgements are kept."""
    monkeypatch.setattr(together, "WAITING_MAX", 2)
    monkeypatch.setattr(together, "JUDGED_MAX", 3)
    validator = NoPairs()
    found = Together(validator)
    wholes = [
        [part(BASE, _="a: 1"), part(Assignment("e", "extra", number, priority=5), _="b: 1")]
        for number in range(1, 8)
    ]
    for whole in wholes:
        with pytest.raises(PolicyError, match="wait"):
            found.require(whole)
    found.judge_waiting()
    assert len(validator.seen) == 2
    for whole in wholes:
        found.judge(whole)
    assert len(validator.seen) == 7
    found.require(wholes[-1])
    with pytest.raises(PolicyError, match="wait"):
        found.require(wholes[0])


def test_what_selectors_make_certain() -> None:
    """Its own agents, and those of each narrower assignment; a tie is nothing, and so is one alone."""
    wanted = Assignment("w", "w", 1, labels={"env": "prod"})
    everywhere, same = Assignment("all", "all", 1), Assignment("same", "same", 1, labels={"env": "prod"})
    across = Assignment("across", "across", 1, labels={"site": "a"})
    narrow = Assignment("narrow", "narrow", 1, labels={"env": "prod"}, attributes={"os.type": "linux"})
    apart = Assignment("apart", "apart", 1, labels={"env": "test"})
    found = [
        {one.name for one in whole}
        for whole in certain(wanted, [everywhere, same, across, narrow, apart, wanted])
    ]
    assert found == [{"w", "all", "same"}, {"w", "all", "same", "narrow"}]
    assert list(certain(wanted, [apart])) == []
    rival = Assignment("rival", "w", 2, labels={"env": "prod", "site": "a"})
    assert list(certain(wanted, [rival, everywhere])) == [(everywhere, wanted)]
    higher = Assignment("rival", "w", 2, priority=9)
    assert list(certain(wanted, [higher, everywhere])) == []


def test_an_assignment_that_makes_a_bad_whole_is_refused(fleet: Configured) -> None:
    """In the validator's words, before anything is written; so is going back to one."""
    fleet.create("base", {"": "a: 1"})
    fleet.create("base", {"": "a: 2"})
    fleet.create("extra", {"b": "b: 1"})
    fleet.assign(Assignment("base", "base", 1))
    with pytest.raises(
        ConflictError, match=r"base@1 and extra@1 together were refused by 'pairs': they bite"
    ):
        fleet.assign(Assignment("extra", "extra", 1, labels={"env": "prod"}))
    assert fleet.kinds().count("config.assigned") == 1
    fleet.assign(Assignment("base", "base", 2))
    fleet.validator.name = ""  # as by another server, without a validator
    fleet.assign(Assignment("extra", "extra", 1, priority=1, labels={"env": "prod"}))
    fleet.validator.name = "pairs"
    with pytest.raises(ConflictError, match="base@1 and extra@1 together were refused"):
        fleet.back("base")


def test_two_with_an_object_of_one_key_may_be_assigned(fleet: Configured) -> None:
    """There is no whole to judge, for nothing is offered where they meet."""
    fleet.create("base", {"": "a: 1"})
    fleet.create("extra", {"": "b: 1"})
    fleet.assign(Assignment("base", "base", 1))
    fleet.assign(Assignment("extra", "extra", 1, labels={"env": "prod"}))
    with pytest.raises(PolicyError, match="both have an object of key ''"):
        fleet.bodies(view(labels={"env": "prod"}))


def test_a_whole_that_only_an_agent_makes_is_judged_before_it_is_offered(fleet: Configured) -> None:
    """Its labels bring together what no selector said; agents that get one of them are not held up."""
    fleet.create("base", {"": "a: 1"})
    fleet.create("one", {"b": "b: 1"})
    fleet.assign(Assignment("base", "base", 1, labels={"x": "1"}))
    fleet.assign(Assignment("one", "one", 1, labels={"y": "1"}))
    assert fleet.bodies(view(labels={"x": "1"})) == {"": "a: 1"}
    both = view(labels={"x": "1", "y": "1"})
    with pytest.raises(PolicyError, match="base@1 and one@1 wait to be validated together"):
        fleet.bodies(both)
    assert fleet.together is not None
    assert fleet.together.judge_waiting()
    with pytest.raises(PolicyError, match="base@1 and one@1 together were refused by 'pairs': they bite"):
        fleet.bodies(both)
