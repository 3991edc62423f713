"""A stolen server tries to keep an agent's keeper busy, or to make it remember without an end."""

from dataclasses import replace
from pathlib import Path

import pytest

from distribution.agent.report import Standing
from distribution.agent.rules import WantedSet
from tests.fakes.agent_programs import FakeMachine
from tests.fakes.agent_world import AgentWorld, as_wanted
from tests.fakes.besieged_agent import repository

HASH = b"h" * 32


@pytest.fixture
def world(tmp_path: Path) -> AgentWorld:
    made = AgentWorld(tmp_path, repository(), FakeMachine())
    made.keeper.start()
    made.offer(made.offered("1.0.0"))
    made.until_well()
    made.settle()
    made.until(lambda: made.package().standing is Standing.INSTALLED)
    return made


def test_a_refused_name_for_what_is_held(world: AgentWorld) -> None:
    """The server names what runs as it named what was refused: there is nothing to do, and nothing is due."""
    runs = replace(as_wanted(world.offered("1.0.0")), hash=HASH)
    world.keeper.offer(WantedSet({runs.name: replace(runs, version="7.0.0")}, b"1"))
    world.until(lambda: world.package().standing is Standing.FAILED)
    world.keeper.offer(WantedSet({runs.name: runs}, b"2"))
    world.until(lambda: world.package().standing is Standing.INSTALLED)
    world.time += 10.0
    world.keeper.step()
    assert world.keeper.step() != 0.0


def test_names_that_are_offered_once(world: AgentWorld) -> None:
    """What was refused and is offered no more is forgotten."""
    runs = as_wanted(world.offered("1.0.0"))
    for number in range(50):
        name = f"package-{number}"
        world.keeper.offer(WantedSet({name: replace(runs, name=name)}, str(number).encode()))
        world.keeper.step()
        world.keeper.step()
    assert len(world.keeper._doing.refusals) <= 1


def test_offers_that_come_faster_than_they_can_be_taken(world: AgentWorld) -> None:
    """A keeper that is busy keeps a few offers and the last one, not all of them."""
    runs = as_wanted(world.offered("1.0.0"))
    for number in range(1000):
        world.keeper.offer(WantedSet({runs.name: runs}, str(number).encode()))
    assert len(world.keeper._offers) < 100
    world.keeper.step()
    assert world.report.offer_hash == b"999"
