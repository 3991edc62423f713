"""What agents are to run: chosen by selectors, put together in order, values put in, kinds shared."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from distribution.domain.agent import Capability
from distribution.domain.config_choice import Assignment
from distribution.errors import DistributionError, PolicyError
from distribution.flows.configuration import board as boards
from distribution.flows.configuration import values
from distribution.flows.configuration.board import ConfigBoard
from keys.identity import AgentId
from keys.sealing import Seal, new_seal_key
from storage.database import Database
from tests.fakes.configured import NOW, Configured, configured, view


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Configured]:
    with configured(tmp_path) as found:
        yield found


def test_nothing_assigned_is_nothing_said(fleet: Configured) -> None:
    """Without an assignment that applies there is no configuration, not an empty one."""
    fleet.create("base")
    assert fleet.board.empty
    fleet.assign(Assignment("base", "base", 1, labels={"env": "prod"}))
    assert not fleet.board.empty
    assert fleet.board.config_for(view()) is None
    assert fleet.bodies(view(labels={"env": "prod"})) == {"": "a: 1"}


def test_labels_and_attributes_select(fleet: Configured) -> None:
    """Every label and every attribute of a selector must be the agent's."""
    fleet.create("base")
    fleet.assign(Assignment("base", "base", 1, labels={"env": "prod"}, attributes={"os.type": "linux"}))
    both = view(labels={"env": "prod"}, attributes={"os.type": "linux"})
    assert [fleet.bodies(one) for one in (both, view(labels={"env": "prod"}))] == [{"": "a: 1"}, {}]


def test_the_higher_priority_brings_its_version(fleet: Configured) -> None:
    """Of two assignments of one configuration the higher one counts: a canary."""
    fleet.create("base", "a: 1")
    fleet.create("base", "a: 2")
    fleet.assign(Assignment("base", "base", 1))
    fleet.assign(Assignment("canary", "base", 2, 10, {"ring": "early"}))
    assert [fleet.bodies(view()), fleet.bodies(view(labels={"ring": "early"}))] == [
        {"": "a: 1"},
        {"": "a: 2"},
    ]


def test_configurations_are_put_together_by_key(fleet: Configured) -> None:
    """Objects of several come together; of one key, the higher priority's is it; the origin names all."""
    fleet.create("base", {"a": "from: base", "b": "from: base"})
    fleet.create("edge", {"b": "from: edge", "c": "from: edge"})
    fleet.assign(Assignment("base", "base", 1))
    fleet.assign(Assignment("edge", "edge", 1, 5))
    found = fleet.board.config_for(view())
    assert found is not None
    assert {key: one.body for key, one in found.objects.items()} == {
        "a": b"from: base",
        "b": b"from: edge",
        "c": b"from: edge",
    }
    assert found.origin == "base@1, edge@1"


def test_a_tie_is_no_offer(fleet: Configured) -> None:
    """Two configurations of equal priority with one key are refused by both names."""
    fleet.create("base", {"a": "x: 1"})
    fleet.create("edge", {"a": "x: 2"})
    fleet.assign(Assignment("one", "base", 1))
    fleet.assign(Assignment("two", "edge", 1, labels={"env": "prod"}))
    assert fleet.bodies(view()) == {"a": "x: 1"}
    with pytest.raises(PolicyError, match="'one' and 'two' both have an object of key 'a'"):
        fleet.board.config_for(view(labels={"env": "prod"}))


def test_an_agent_that_takes_none(fleet: Configured) -> None:
    """An agent without the capability is offered nothing, and why is told."""
    fleet.create("base")
    fleet.assign(Assignment("base", "base", 1))
    with pytest.raises(DistributionError, match="does not accept remote configuration"):
        fleet.board.config_for(view(capabilities=Capability.REPORTS_STATUS))


def test_an_agent_that_was_never_heard_is_not_said_to_accept_none(fleet: Configured) -> None:
    """What it accepts is not known yet."""
    fleet.create("base")
    fleet.assign(Assignment("base", "base", 1))
    with pytest.raises(DistributionError, match="has not said yet what it accepts"):
        fleet.board.config_for(view(capabilities=Capability.NONE))


def test_an_agent_that_has_not_said_what_it_is(fleet: Configured) -> None:
    """Where attributes select, an agent that has not described itself waits, instead of running a part."""
    fleet.create("base")
    fleet.create("more", {"x": "b: 1"})
    fleet.assign(Assignment("base", "base", 1))
    fleet.assign(Assignment("more", "more", 1, attributes={"os.type": "linux"}))
    with pytest.raises(DistributionError, match="has not said what it is"):
        fleet.board.config_for(dataclasses.replace(view(), description=None))


def test_values_are_put_in(fleet: Configured) -> None:
    """Labels, attributes, the uid and an operator's value each stand where the version says."""
    fleet.create(
        "base",
        "site: ${qm:label.site}\nhost: x-${qm:attribute.host.name}\nid: ${qm:uid}\nn: ${qm:value.n} # so\n"
        "kept: $${qm:uid}\nenv: ${env:HOME}\n",
    )
    values.set_values(
        fleet.parts,
        AgentId(view().uid),
        {"n": "12"},
        actor="operator:ann",
        now=NOW,
    )
    fleet.assign(Assignment("base", "base", 1))
    assert fleet.bodies(view(labels={"site": "a: b"}, attributes={"host.name": "web-1"}))[""] == (
        f'site: "a: b"\nhost: "x-web-1"\nid: "{view().uid}"\nn: 12 # so\n'
        "kept: $${qm:uid}\nenv: ${env:HOME}\n"
    )


def test_a_value_that_nobody_gives(fleet: Configured) -> None:
    """A variable without a value is no offer, and it says which configuration needs what."""
    fleet.create("base", "site: ${qm:label.site}")
    fleet.assign(Assignment("base", "base", 1))
    with pytest.raises(PolicyError, match=r"base@1: agent has no label 'site'"):
        fleet.board.config_for(view())


def test_a_value_that_was_taken_away(fleet: Configured) -> None:
    """After a value is removed the board does not know it any more."""
    who = AgentId(view().uid)
    fleet.create("base", "n: ${qm:value.n}")
    fleet.assign(Assignment("base", "base", 1))
    for given in ("1", None):
        values.set_values(fleet.parts, who, {"n": given}, actor="operator:ann", now=NOW)
        fleet.board.reload()
        if given is not None:
            assert fleet.bodies(view()) == {"": "n: 1"}
    with pytest.raises(PolicyError, match="has no value 'n'"):
        fleet.board.config_for(view())


def test_equal_agents_share_one_value(fleet: Configured) -> None:
    """Agents that neither selector nor variable tells apart get the very same object, also after a reload."""
    fleet.create("base", "site: ${qm:label.site}")
    fleet.assign(Assignment("base", "base", 1))
    one, two = (
        view(number, {"site": "a", "other": str(number)}, {"host.name": str(number)}) for number in (1, 2)
    )
    first = fleet.board.config_for(one)
    fleet.board.reload()
    assert fleet.board.config_for(two) is first is not None


def test_kinds_are_bounded(fleet: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many kinds agents make of themselves, only so many are kept."""
    monkeypatch.setattr(boards, "KINDS_MAX", 10)
    fleet.create("base", "host: ${qm:attribute.host.name}")
    fleet.assign(Assignment("base", "base", 1, attributes={"os.type": "linux"}))
    for number in range(50):
        told = {"os.type": "linux", "host.name": f"h{number}"}
        assert fleet.bodies(view(number, attributes=told)) == {"": f'host: "h{number}"'}
        fleet.board.config_for(view(number, attributes={"os.type": f"odd-{number}"}))
    board = fleet.board._board
    assert max(len(board._kept.found), len(board._chosen)) <= 10


def test_a_lost_seal_stops_what_is_sealed_and_nothing_else(
    fleet: Configured, caplog: pytest.LogCaptureFixture
) -> None:
    """A secret version and a sealed value cannot be read: what needs them is no offer, the rest goes on."""
    who = AgentId(view().uid)
    fleet.create("open", "a: 1")
    fleet.create("sealed", {"s": "password: hunter2"}, secret=True)
    fleet.create("own", {"o": "n: ${qm:value.n}"})
    given = {"n": "s3cret"}
    values.set_values(fleet.parts, who, given, actor="operator:ann", now=NOW)
    fleet.assign(Assignment("open", "open", 1))
    fleet.assign(Assignment("sealed", "sealed", 1, labels={"env": "prod"}))
    fleet.assign(Assignment("own", "own", 1, labels={"own": "yes"}))
    fleet.board = ConfigBoard(fleet.database, Seal([new_seal_key().strip()], "other"))
    fleet.board.reload()
    assert fleet.bodies(view()) == {"": "a: 1"}
    with pytest.raises(PolicyError, match="sealed@1, of 'sealed', cannot be read"):
        fleet.board.config_for(view(labels={"env": "prod"}))
    with pytest.raises(PolicyError, match="agent has no value 'n'"):
        fleet.board.config_for(view(labels={"own": "yes"}))
    assert "cannot be read" in caplog.text
    assert "s3cret" not in caplog.text


class Gone:
    """A database that nobody may ask."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"the database was asked to {name}")


def test_nothing_is_read_when_deciding(fleet: Configured) -> None:
    """Deciding works on memory alone."""
    fleet.create("base", "site: ${qm:label.site}")
    fleet.assign(Assignment("base", "base", 1))
    fleet.board._database = cast("Database", Gone())
    assert fleet.bodies(view(labels={"site": "a"})) == {"": 'site: "a"'}
    with pytest.raises(AssertionError, match="asked to read"):
        fleet.board.reload()


def test_secrets_are_known_as_they_are_sent(fleet: Configured) -> None:
    """What was declared secret is told with the agent's values in it; deciding reads no YAML for it."""
    fleet.create("base", "license: hunter2-${qm:label.site}", secret=True)
    fleet.assign(Assignment("base", "base", 1))
    fleet.board._database = cast("Database", Gone())
    found = fleet.board.config_for(view(labels={"site": "a"}))
    assert found is not None
    assert "hunter2-a" in found.secrets


def test_who_was_ever_given_a_value(fleet: Configured) -> None:
    """Also where it was taken away: what it was may still be reported."""
    who = AgentId(view().uid)
    for value in ("given-1", None):
        values.set_values(fleet.parts, who, {"n": value}, actor="operator:ann", now=NOW)
        fleet.board.reload()
        assert fleet.board.was_given(who.uuid)
    assert not fleet.board.was_given(view(8).uid)
