"""Finding agents among many: as if every one of them had been looked at."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from distribution.domain.agent import (
    AgentView,
    Description,
    Health,
    PackageReport,
    PackagesReport,
    PackageState,
)
from distribution.domain.liveness import Delivery, Liveness, Wellbeing
from distribution.fleet import facts, index, search
from distribution.fleet.registry import Registry
from distribution.fleet.search import Filter
from keys.identity import AgentId
from storage.database import Database
from tests.fakes.databases import opened

REPORTS = {
    Delivery.FAILED: PackagesReport((PackageReport("p", PackageState.FAILED),)),
    Delivery.BUSY: PackagesReport((PackageReport("p", PackageState.INSTALLING),)),
    Delivery.SETTLED: PackagesReport((PackageReport("p", PackageState.INSTALLED),)),
}
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as found:
        yield found


def crowd(count: int) -> dict[AgentId, tuple[dict[str, str], AgentView]]:
    """Return agents of all kinds: their labels and what they said."""
    chance = random.Random(7)
    found = {}
    for _ in range(count):
        agent = AgentId(UUID(int=chance.getrandbits(128)))
        os_type = chance.choice(["linux", "windows"])
        described = Description({"service.name": "x"}, {"os.type": os_type, "host.arch": "amd64"})
        health = chance.choice([None, Health(healthy=True), Health(healthy=False)])
        view = AgentView(
            agent.uuid,
            description=chance.choice([None, described]),
            health=health,
            packages=chance.choice([None, *REPORTS.values()]),
            connected=chance.random() < 0.5,
            last_seen=NOW,
        )
        found[agent] = ({"site": chance.choice(["north", "south"])}, view)
    return found


def fits(wanted: Filter, labels: dict[str, str], view: AgentView) -> bool:
    """Say the same as the index, from the agent itself."""
    told = {} if view.description is None else {**view.description.attributes, **view.description.identifying}
    live = Liveness.CONNECTED if view.connected else Liveness.GONE
    well = (
        Wellbeing.UNKNOWN
        if view.health is None
        else Wellbeing.HEALTHY
        if view.health.healthy
        else Wellbeing.UNHEALTHY
    )
    held = next((state for state, report in REPORTS.items() if report == view.packages), Delivery.SETTLED)
    return (
        all(labels.get(name) == value for name, value in wanted.labels.items())
        and all(told.get(name) == value for name, value in wanted.attributes.items())
        and wanted.platform in (None, view.platform)
        and (not wanted.live or live in wanted.live)
        and (not wanted.health or well in wanted.health)
        and (not wanted.packages or held in wanted.packages)
    )


FILTERS = [
    Filter(),
    Filter(labels={"site": "north"}),
    Filter(labels={"site": "west"}),
    Filter(attributes={"os.type": "linux", "service.name": "x"}),
    Filter(platform="windows-amd64"),
    Filter(live=frozenset({Liveness.CONNECTED})),
    Filter(live=frozenset(Liveness), health=frozenset({Wellbeing.HEALTHY, Wellbeing.UNKNOWN})),
    Filter(packages=frozenset({Delivery.FAILED})),
    Filter(labels={"site": "north"}, packages=frozenset({Delivery.BUSY, Delivery.SETTLED})),
    Filter({"site": "south"}, {"os.type": "linux"}, "linux-amd64", health=frozenset({Wellbeing.UNHEALTHY})),
]


def test_every_filter_finds_what_a_look_at_each_agent_finds(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages follow each other without a gap or a repetition, over several rows of the index, and add up."""
    monkeypatch.setattr("distribution.fleet.bits.CHUNK", 64)
    agents = crowd(300)
    registry = Registry(database, lambda agent: agents[agent][0])
    for _, view in agents.values():
        registry.keep(view)
    assert registry.flush() == 300
    for wanted in FILTERS:
        expected = {agent.uuid for agent, (labels, view) in agents.items() if fits(wanted, labels, view)}
        seen: list[UUID] = []
        after: int | None = 0
        while after is not None:
            page = search.page(database, wanted, after=after, limit=23)
            assert page.total == len(expected)
            seen += page.uids
            after = page.after
        assert len(seen) == len(expected)
        assert set(seen) == expected
        assert search.tally(database, wanted).total == len(expected)


def test_what_an_agent_no_longer_says_no_longer_finds_it(database: Database) -> None:
    """A change takes out what was put in, also after a restart, and rows of nobody are deleted."""
    agent = AgentId(UUID(int=1))
    labels = {"ring": "a"}
    told = AgentView(agent.uuid, description=Description({}, {"v": "1"}), connected=True, last_seen=NOW)
    first = Registry(database, lambda _agent: labels)
    first.keep(told)
    first.flush()
    again = Registry(database, lambda _agent: labels)
    assert search.page(database, Filter(live=frozenset({Liveness.STALE})), after=0, limit=1).total == 1
    again.keep(AgentView(agent.uuid, description=Description({}, {"v": "2"}), connected=True, last_seen=NOW))
    again.flush()
    for wanted, expected in (
        (Filter(attributes={"v": "1"}), 0),
        (Filter(attributes={"v": "2"}), 1),
        (Filter(live=frozenset({Liveness.STALE})), 0),
        (Filter(live=frozenset({Liveness.CONNECTED})), 1),
        (Filter(labels={"ring": "a"}), 1),
    ):
        assert search.tally(database, wanted).total == expected
    with database.read() as connection:
        assert index.members_of(connection, facts.attribute("v", "1")) == frozenset()
        held = connection.exec_driver_sql("SELECT count(*) FROM agent_facts").scalar_one()
    assert held == 6  # known, connected, unknown health, settled packages, its label, its attribute


def test_labels_of_an_operator_and_of_a_new_token_are_found_at_once(database: Database) -> None:
    """A label is found in the same transaction that gives it, and no longer when it is taken away."""
    agent = AgentId(UUID(int=1))
    labels = {"ring": "a", "site": "x"}
    registry = Registry(database, lambda _agent: labels)
    registry.introduce(agent)
    with database.write() as connection:
        registry.set_labels(connection, agent, {"ring": "b"})
    registry.relabel([agent])
    assert search.tally(database, Filter(labels={"ring": "b", "site": "x"})).total == 1
    assert search.tally(database, Filter(labels={"ring": "a"})).total == 0
    labels["site"] = "y"
    registry.introduce(agent)
    assert search.tally(database, Filter(labels={"ring": "b", "site": "y"})).total == 1
    assert search.tally(database, Filter(labels={"site": "x"})).total == 0


def test_agents_of_a_database_without_an_index_get_into_it(database: Database) -> None:
    """After an upgrade the first flush makes every known agent findable."""
    agents = crowd(3)
    before = Registry(database, lambda agent: agents[agent][0])
    for _, view in agents.values():
        before.keep(view)
    before.flush()
    with database.write() as connection:
        for table in (index.numbers, index.members):
            connection.execute(table.delete())
    registry = Registry(database, lambda agent: agents[agent][0])
    assert registry.flush() == 3
    assert search.tally(database, Filter(platform=None)).total == 3


def test_who_failed_a_release_is_found_until_it_holds_one(database: Database) -> None:
    """What counts is the last report; no other column changes with the index."""
    agent, failed = AgentId(UUID(int=1)), Filter(packages=frozenset({Delivery.FAILED}))
    registry = Registry(database, lambda _agent: {})
    for state, expected in ((Delivery.BUSY, 0), (Delivery.FAILED, 1), (Delivery.SETTLED, 0)):
        registry.keep(AgentView(agent.uuid, packages=REPORTS[state], connected=True, last_seen=NOW))
        registry.flush()
        assert search.tally(database, failed).total == expected
        assert search.page(database, failed, after=0, limit=1).uids == (agent.uuid,) * expected


def test_failed_agents_of_an_older_index_are_found_after_the_first_flush(database: Database) -> None:
    """An index that had nothing of packages: who stands in it is put down once, and not again."""
    agents = crowd(300)
    before = Registry(database, lambda agent: agents[agent][0])
    for _, view in agents.values():
        before.keep(view)
    before.flush()
    with database.write() as connection:
        connection.execute(index.members.delete().where(index.members.c.fact.in_(facts.DELIVERED.values())))
    registry = Registry(database, lambda agent: agents[agent][0])
    assert registry.flush() == 300
    expected = sum(view.packages == REPORTS[Delivery.FAILED] for _, view in agents.values())
    assert search.tally(database, Filter(packages=frozenset({Delivery.FAILED}))).total == expected > 0
    assert Registry(database, lambda agent: agents[agent][0]).flush() == 0


def test_silence_is_found_out(database: Database) -> None:
    """An agent that polls and stops is stale when it missed its polls, and gone when it is away for long."""
    agent = AgentId(UUID(int=1))
    registry = Registry(database, lambda _agent: {})
    registry.keep(AgentView(agent.uuid, connected=True, last_seen=NOW, polls=True))

    def after(time: timedelta) -> Liveness:
        for _ in range(2):
            registry.sweep(NOW + time)
        registry.flush()
        [state] = (state for state, count in search.tally(database, Filter()).live.items() if count)
        assert registry.live(agent) is state
        return state

    assert after(timedelta(seconds=90)) is Liveness.CONNECTED
    assert after(timedelta(seconds=91)) is Liveness.STALE
    assert after(timedelta(days=2)) is Liveness.GONE
    registry.keep(AgentView(agent.uuid, connected=True, last_seen=NOW + timedelta(days=2), polls=True))
    assert after(timedelta(days=2)) is Liveness.CONNECTED
