"""Configurations on every database: versions, steps, values, agreements and documents, as migrated."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from distribution.domain.config_choice import Assignment
from distribution.domain.configuration import Agreement
from distribution.errors import UnknownError
from distribution.fleet import agreements, config_assignments, configurations, documents
from distribution.fleet.documents import Kind
from distribution.fleet.earlier_values import KEPT_MAX
from distribution.flows.configuration.values import set_values
from keys.identity import AgentId
from storage.database import Database, migrate
from tests.contract.database_places import PLACES, at_revision, fresh
from tests.fakes.configured import NOW, Configured, intended, view, yaml

WHO = AgentId(view().uid)


@pytest.fixture(params=PLACES)
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Configured]:
    with fresh(request.param, tmp_path) as url:
        database = Database.open(url)
        migrate(database)
        yield Configured(database)
        database.close()


def test_versions(fleet: Configured) -> None:
    """Numbers count from one for each name; a version reads as it was written, sealed or not."""
    texts = {"": "a: 1", "ns/b": "password: hunter2 é"}
    assert [fleet.create("base").number, fleet.create("base", texts, secret=True).number] == [1, 2]
    assert fleet.create("other").number == 1
    with fleet.database.read() as connection:
        assert [(one.name, one.number) for one in configurations.every(connection)] == [
            ("base", 1),
            ("base", 2),
            ("other", 1),
        ]
        found = configurations.read(connection, "base", 2, fleet.seal)
        assert dict(found.objects) == {key: yaml(text) for key, text in texts.items()}
        assert configurations.known(connection, "base").number == 2
        for name, number in (("none", None), ("base", 3)):
            with pytest.raises(UnknownError):
                configurations.known(connection, name, number)


def test_steps(fleet: Configured) -> None:
    """One step of a name counts; the others stay; labels and attributes come back as they went in."""
    fleet.create("base")
    for priority in (1, 2):
        fleet.assign(Assignment("all", "base", 1, priority, {"env": "é"}, {"os.type": "linux"}))
    with fleet.database.read() as connection:
        [step] = config_assignments.counting(connection)
        assert (step.number, step.assignment.priority, step.at) == (2, 2, NOW)
        assert (step.assignment.labels, step.assignment.attributes) == ({"env": "é"}, {"os.type": "linux"})
        assert [one.counts for one in config_assignments.history(connection, "all")] == [False, True]


def test_values(fleet: Configured) -> None:
    """What changed after a revision is read, with what was taken away; names are listed without values."""
    for given in ({"a": "1", "b": "2"}, {"a": None}):
        set_values(fleet.parts, WHO, given, actor="operator:ann", now=NOW)
    with fleet.database.read() as connection:
        assert [one.name for one in config_assignments.names_of(connection, WHO)] == ["b"]
        newest, changed = config_assignments.values_after(connection, 1)
        assert (newest, changed) == (2, {WHO.uuid: {"a": None}})
        assert set(config_assignments.values_after(connection, 0)[1][WHO.uuid]) == {"a", "b"}
        assert config_assignments.values_after(connection, 2) == (2, {})


def test_what_was_seen(fleet: Configured) -> None:
    """The last document of an agent, and the last intention that it was seen to run."""
    wanted = intended(_="a: 1")
    for said in ("a: 1", "a: 2"):
        seen = fleet.examiner.examine(WHO, {"": yaml(said)}, wanted, NOW)
        assert seen.agreed
    assert seen.agreement is Agreement.DIFFERS
    with fleet.database.read() as connection:
        assert agreements.find(connection, WHO) == wanted.digest.hex()
        kept = documents.find(connection, WHO, Kind.EFFECTIVE)
        assert kept is not None
        assert kept.digest == seen.digest.hex()
        other = replace(kept, body=kept.body + " ")
        found = [documents.is_kept(connection, WHO, Kind.EFFECTIVE, one) for one in (kept, other)]
        assert found == [True, False]


def test_earlier_values(fleet: Configured) -> None:
    """A value that was replaced or taken away is read with the present ones, and bounded; a reset ends it."""
    for number in range(KEPT_MAX + 3):
        set_values(fleet.parts, WHO, {"a": f"{number}", "b": "same"}, actor="operator:ann", now=NOW)
    with fleet.database.write() as connection:
        found = [fleet.seal.open(one) for one in config_assignments.ever_set(connection, WHO)]
        assert sorted(found, key=str) == sorted([*(str(one) for one in range(2, KEPT_MAX + 3)), "same"])
        config_assignments.take_values(connection, WHO, actor="operator:ann", now=NOW)
        assert config_assignments.ever_set(connection, WHO) == ()


@pytest.mark.parametrize("place", PLACES)
def test_a_value_of_an_earlier_revision_is_kept_when_it_is_replaced(place: str, tmp_path: Path) -> None:
    """The first change after the upgrade loses nothing."""
    with fresh(place, tmp_path) as url:
        database = Database.open(url)
        fleet = Configured(database)
        with at_revision(database, "0004") as connection:
            columns = "uid, name, value, revision, updated_at, updated_by"
            connection.execute(
                text(f"INSERT INTO config_values ({columns}) VALUES (:uid, 'a', :value, 7, :at, 'ann')"),
                {"uid": str(WHO), "value": fleet.seal.seal("before"), "at": "2026-06-01 09:00:00+00:00"},
            )
        migrate(database)
        set_values(fleet.parts, WHO, {"a": "after"}, actor="operator:ann", now=NOW)
        with database.read() as connection:
            found = [fleet.seal.open(one) for one in config_assignments.ever_set(connection, WHO)]
        assert sorted(found) == ["after", "before"]
        database.close()
