"""Plans: the same for equal agents, none where the answer is not certain, anew after a change."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from distribution.catalog.catalogue import Catalogue, Shelf
from distribution.catalog.delegation import Publisher
from distribution.domain.agent import AgentView, Capability, Description
from distribution.domain.assignment import Channel
from distribution.domain.configuration import RemoteConfig
from distribution.domain.connections import ConnectionSet
from distribution.domain.guard import Guard
from distribution.domain.package import Artifact, Digest, PackageType, Release, TargetPath, Version
from distribution.errors import PolicyError
from distribution.fleet import channels
from distribution.flows import planning
from distribution.flows.catalogues import Catalogues
from distribution.flows.planning import Boards, Planner
from storage.database import Database
from tests.fakes.databases import opened

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
LINUX = Description(attributes={"os.type": "linux", "host.arch": "amd64"})
ACCEPTS = Capability.ACCEPTS_PACKAGES


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def release(version: str) -> Release:
    path = TargetPath("acme", "collector", Version.parse(version), "linux-amd64", "collector")
    artifact = Artifact(path, PackageType.TOP_LEVEL, 1, Digest(bytes(32)))
    return Release("acme", "collector", path.version, PackageType.TOP_LEVEL, {"linux-amd64": artifact})


def catalogue(*versions: str, number: int = 1) -> Catalogue:
    releases = {("collector", Version.parse(version)): release(version) for version in versions}
    shelf = Shelf(Publisher("acme", ("collector",), "release-key", "guard-key"), releases, Guard({}))
    return Catalogue(number, number, NOW + timedelta(days=1), {"acme": shelf})


class Fleet:
    """A planner on a database and a catalogue that the test replaces."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.found = catalogue("1.0.0", "1.1.0")
        self.catalogues = Catalogues(lambda _now: self.found)
        self.catalogues.reload(NOW)
        self.planner = Planner(database, self.catalogues, heartbeat_seconds=30, clock=lambda: NOW)

    def channel(self, name: str, version: str, **selector: str) -> None:
        with self.database.write() as connection:
            pointer = Channel(name, "acme", "collector", Version.parse(version), selector=selector)
            channels.put(connection, pointer, actor="operator:ann", now=NOW)


@pytest.fixture
def fleet(database: Database) -> Fleet:
    return Fleet(database)


def agent(
    *, description: Description | None = LINUX, capabilities: Capability = ACCEPTS, **labels: str
) -> AgentView:
    return AgentView(uuid.UUID(int=7), labels, description, capabilities)


def offered(fleet: Fleet, view: AgentView) -> list[str]:
    offer = fleet.planner.plan_for(view).offer
    assert offer is not None
    return [str(package.version) for package in offer.packages]


def test_a_channel_that_applies_is_offered(fleet: Fleet) -> None:
    """After a reload an agent is offered what its channel points at."""
    fleet.channel("stable", "1.0.0")
    fleet.planner.reload()
    assert offered(fleet, agent()) == ["1.0.0"]


def test_labels_choose_between_channels(fleet: Fleet) -> None:
    """A channel whose selector names one of the agent's labels wins over one for everybody."""
    fleet.channel("stable", "1.0.0")
    fleet.channel("early", "1.1.0", ring="early")
    fleet.planner.reload()
    assert [offered(fleet, agent()), offered(fleet, agent(ring="early"))] == [["1.0.0"], ["1.1.0"]]


def test_equal_agents_share_one_offer(fleet: Fleet) -> None:
    """Two agents with the same labels and platform get the very same offer object."""
    fleet.channel("stable", "1.0.0")
    fleet.planner.reload()
    plans = [fleet.planner.plan_for(agent(site="a")).offer for _ in range(2)]
    assert plans[0] is plans[1]


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        (agent(capabilities=Capability.REPORTS_STATUS), "does not accept packages"),
        (agent(capabilities=Capability.NONE), "has not said yet what it accepts"),
        (agent(description=None), "does not report its platform"),
        (agent(site="nowhere"), "no channel applies"),
    ],
    ids=["takes no packages", "said nothing yet", "platform unknown", "no channel"],
)
def test_nothing_is_said_where_nothing_is_certain(fleet: Fleet, view: AgentView, problem: str) -> None:
    """An agent that cannot be planned for is offered nothing, not an empty set, and the reason is kept."""
    fleet.channel("only-a", "1.0.0", site="a")
    fleet.planner.reload()
    plan = fleet.planner.plan_for(view)
    assert (plan.offer, problem in plan.problem) == (None, True)


def test_a_release_that_vanished_is_no_offer(fleet: Fleet) -> None:
    """A channel that points at a release the catalogue has not makes no offer at all."""
    fleet.channel("stable", "9.9.9")
    fleet.planner.reload()
    plan = fleet.planner.plan_for(agent())
    assert plan.offer is None
    assert "acme/collector@9.9.9" in plan.problem


def test_an_expired_catalogue_is_no_offer(database: Database) -> None:
    """Once the metadata has expired nothing is offered from it."""
    catalogues = Catalogues(lambda _now: catalogue("1.0.0"))
    catalogues.reload(NOW)
    late = Planner(database, catalogues, heartbeat_seconds=30, clock=lambda: NOW + timedelta(days=2))
    plan = late.plan_for(agent())
    assert plan.offer is None
    assert "verified until" in plan.problem


def test_a_new_catalogue_is_seen_without_a_reload_of_channels(fleet: Fleet) -> None:
    """When the repository moved, plans come from its new state."""
    fleet.channel("stable", "1.0.0")
    fleet.planner.reload()
    before = fleet.planner.plan_for(agent()).offer
    fleet.found = catalogue("1.1.0", number=2)
    fleet.catalogues.reload(NOW)
    after = fleet.planner.plan_for(agent())
    assert (before is not None, after.offer) == (True, None)
    assert "1.0.0 does not exist" in after.problem


def test_a_plan_is_one_object_for_all_and_stays_it(fleet: Fleet) -> None:
    """Agents alike share it, and so do those that are planned after a reload that changes nothing of it."""
    fleet.channel("stable", "1.0.0")
    fleet.planner.reload()
    plan = fleet.planner.plan_for(agent())
    assert fleet.planner.plan_for(agent()) is plan
    fleet.channel("other", "1.1.0", ring="b")
    fleet.planner.reload()
    assert fleet.planner.plan_for(agent()) is plan
    assert fleet.planner.plan_for(agent()) is plan
    assert offered(fleet, agent(ring="b")) == ["1.1.0"]


def test_plans_that_are_kept_are_bounded(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond, they are made anew, and equal."""
    monkeypatch.setattr(planning, "_KINDS_MAX", 1)
    fleet.channel("stable", "1.0.0")
    fleet.channel("other", "1.1.0", ring="b")
    fleet.planner.reload()
    plan, other = fleet.planner.plan_for(agent()), fleet.planner.plan_for(agent(ring="b"))
    again = fleet.planner.plan_for(agent())
    assert (again == plan, again is plan, again == other) == (True, False, False)


def test_a_reload_reads_the_channels_again(fleet: Fleet) -> None:
    """After a reload plans follow the channels as they are now."""
    fleet.channel("stable", "1.0.0")
    fleet.planner.reload()
    fleet.channel("stable", "1.1.0")
    fleet.planner.reload()
    assert offered(fleet, agent()) == ["1.1.0"]


class Stubborn:
    """Boards that cannot decide, each in its own way."""

    empty = False

    def reload(self) -> None:
        """Nothing is read."""

    def config_for(self, view: AgentView) -> RemoteConfig | None:
        """Refuse."""
        raise PolicyError(f"two assignments tie for {view.uid}")

    def connections_for(self, view: AgentView) -> ConnectionSet | None:
        """Fail."""
        raise RuntimeError(str(view.uid))


def test_what_is_wrong_with_one_part_takes_nothing_from_the_others(fleet: Fleet) -> None:
    """Packages are offered though configuration ties and connections fail; each reason is kept."""
    fleet.channel("stable", "1.0.0")
    stubborn = Stubborn()
    boards = Boards(stubborn, stubborn)
    planner = Planner(
        fleet.database, fleet.catalogues, heartbeat_seconds=30, clock=lambda: NOW, boards=boards
    )
    planner.reload()
    plan = planner.plan_for(agent())
    assert plan.offer is not None
    assert (plan.config, plan.config_problem) == (None, f"two assignments tie for {agent().uid}")
    assert (plan.connections, plan.connections_problem) == (None, "internal error")


def test_every_reload_is_another_state_of_what_plans_are_decided_from(fleet: Fleet) -> None:
    """So that whoever kept a decision for many decides it again."""
    before = fleet.planner.as_of()
    assert before == fleet.planner.as_of()
    fleet.channel("stable", "1.0.0")
    fleet.planner.reload()
    assert fleet.planner.as_of() not in (before, None)


def test_where_configurations_are_assigned_no_plan_is_alike(fleet: Fleet) -> None:
    """An agent is chosen by its attributes, and has variables of its own."""
    planner = Planner(
        fleet.database, fleet.catalogues, heartbeat_seconds=30, clock=lambda: NOW, boards=Boards(Stubborn())
    )
    assert planner.as_of() is None
