"""The agents' rows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection

from distribution.domain.agent import (
    AgentView,
    Capability,
    Description,
    Health,
    PackageReport,
    PackagesReport,
    PackageState,
)
from distribution.errors import InvalidError, UnknownError
from distribution.fleet import agents, status
from distribution.fleet.index import Edit
from distribution.fleet.rows import view_of
from keys.identity import AgentId
from storage.database import Database
from tests.fakes.databases import opened

UID = UUID("0192f2a1-7c3e-7abc-8def-0123456789ab")
AGENT = AgentId(UID)
FULL = AgentView(
    UID,
    description=Description({"service.name": "x"}, {"os.type": "linux", "host.arch": "amd64"}),
    capabilities=Capability.REPORTS_STATUS | Capability.ACCEPTS_PACKAGES,
    health=Health(healthy=True, status="up"),
    packages=PackagesReport(
        (PackageReport("a", PackageState.FAILED, "1.0.0", b"\x01", "1.1.0", b"\x02", "no"),), b"\x03", "bad"
    ),
    connected=True,
    last_seen=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
    problem="two channels fit",
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as found:
        yield found


def views(connection: Connection) -> list[AgentView]:
    return [view_of(row) for row in agents.every(connection)]


def test_view_makes_the_round_trip(database: Database) -> None:
    """Everything that is stored comes back as it was; one without a status yet is not connected."""
    with database.write_relaxed() as connection:
        agents.save(connection, [FULL, AgentView(UUID(int=7))])
        number = Edit(connection).number([UID])[UID]
        status.put(connection, [(number, FULL)], lambda: None)
    with database.read() as connection:
        assert views(connection) == [AgentView(UUID(int=7)), FULL]


def test_status_leaves_labels_alone(database: Database) -> None:
    """What an agent says never changes what an operator said."""
    with database.write() as connection:
        agents.save(connection, [FULL])
        agents.set_labels(connection, AGENT, {"ring": "canary"})
        agents.save(connection, [AgentView(UID, labels={"ring": "mine"})])
        assert agents.labels_of(connection) == {UID: {"ring": "canary"}}
        assert views(connection) == [AgentView(UID, labels={"ring": "canary"})]


def test_many_agents_are_saved_in_batches(database: Database) -> None:
    """More agents than one statement takes are all written."""
    with database.write_relaxed() as connection:
        agents.save(connection, [AgentView(UUID(int=number + 1)) for number in range(1201)])
        assert len(views(connection)) == 1201


def test_introduced_agent_can_be_labelled(database: Database) -> None:
    """An agent that enrolled and said nothing yet has a row; introducing it again changes nothing."""
    with database.write() as connection:
        agents.introduce(connection, AGENT)
        agents.set_labels(connection, AGENT, {"a": "b"})
        agents.introduce(connection, AGENT)
        assert agents.labels_of(connection, [AGENT, AgentId(UUID(int=9))]) == {UID: {"a": "b"}}


def test_stranger_is_not_labelled(database: Database) -> None:
    """A label of nobody would hide a typing error."""
    with database.write() as connection, pytest.raises(UnknownError, match=str(UID)):
        agents.set_labels(connection, AGENT, {"a": "b"})


@pytest.mark.parametrize(
    "labels",
    [{"": "x"}, {"x": "y" * 257}, {str(number): "" for number in range(65)}],
    ids=["nameless", "long", "many"],
)
def test_labels_have_bounds(database: Database, labels: dict[str, str]) -> None:
    """Too many, too long and nameless labels are refused."""
    with database.write() as connection, pytest.raises(InvalidError, match="label"):
        agents.set_labels(connection, AGENT, labels)


def test_columns_are_written_alone(database: Database) -> None:
    """What is named is written, batch by batch; what else the agent said stays as it is in the row."""
    pauses: list[None] = []
    with database.write_relaxed() as connection:
        agents.save(connection, [FULL])
        said = AgentView(UID, problem="said", description=Description({"un": "said"}, {}))
        agents.update_columns(connection, [said], ("problem", "packages"), lambda: pauses.append(None))
        untold = replace(FULL, health=None, connected=False, last_seen=None)
        assert views(connection) == [replace(untold, problem="said", packages=None)]
    assert len(pauses) == 1
