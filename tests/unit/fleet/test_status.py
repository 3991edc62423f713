"""The agents' status, which has its own narrow rows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, select

from distribution.domain.agent import AgentView, Health
from distribution.fleet import status
from storage.bulk import BATCH
from storage.database import Database
from tests.fakes.databases import opened

NOW = datetime(2026, 3, 4, 5, 6, 7, 999_999, tzinfo=UTC)
ODD = Health(healthy=False, status='"quoted"\n', error="\N{SNOWMAN} \\ \0")
VIEW = AgentView(UUID(int=1), health=ODD, connected=True, last_seen=NOW)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as found:
        yield found


def nothing() -> None:
    pass


def rows(connection: Connection) -> dict[int, tuple[object, ...]]:
    return {row.number: tuple(row)[1:] for row in connection.execute(select(status.status))}


def test_status_is_put_and_put_again(database: Database) -> None:
    """The first one makes the row, a later one replaces it; times are whole seconds, never rounded up."""
    told = '[false,"\\"quoted\\"\\n","\\u2603 \\\\ \\u0000"]'
    with database.write_relaxed() as connection:
        status.put(connection, [(7, VIEW)], nothing)
        assert rows(connection) == {7: (told, True, NOW.replace(microsecond=0))}
        status.put(connection, [(7, AgentView(VIEW.uid))], nothing)
        assert rows(connection) == {7: (None, False, None)}


def test_seen_leaves_health_alone(database: Database) -> None:
    """Who only says that it is there keeps its health, and one that has no row yet gets one."""
    later = replace(VIEW, health=None, connected=False, last_seen=NOW + timedelta(seconds=5))
    with database.write_relaxed() as connection:
        status.put(connection, [(7, replace(VIEW, health=Health(healthy=True)))], nothing)
        status.put_seen(connection, [(7, later), (8, VIEW)], nothing)
        assert rows(connection) == {
            7: ('[true,"",""]', False, NOW.replace(microsecond=0) + timedelta(seconds=5)),
            8: (None, True, NOW.replace(microsecond=0)),
        }


def test_parts_of_health_are_kept(database: Database) -> None:
    """Health is a tree."""
    whole = Health(healthy=True, components={"pipe": Health(healthy=False, error="full")})
    with database.write_relaxed() as connection:
        status.put(connection, [(7, replace(VIEW, health=whole))], nothing)
        [(told, *_)] = rows(connection).values()
    assert told == '[true,"","",{"pipe":[false,"","full"]}]'


def test_nobody_is_connected_after_a_start(database: Database) -> None:
    """The flag of a server that died is taken back."""
    with database.write_relaxed() as connection:
        status.put(connection, [(7, VIEW)], nothing)
        status.none_connected(connection)
        [(_, connected, _)] = rows(connection).values()
    assert connected is False


def test_many_are_written_in_batches(database: Database) -> None:
    """Between batches others have their turn, and nobody is left out."""
    pauses: list[None] = []
    many = [(number, VIEW) for number in range(1, 2 * BATCH + 2)]
    with database.write_relaxed() as connection:
        status.put(connection, many, lambda: pauses.append(None))
        assert len(rows(connection)) == len(many)
    assert len(pauses) == 3


def test_a_time_without_zone_is_refused(database: Database) -> None:
    """It could be any of many moments."""
    with (
        database.write_relaxed() as connection,
        pytest.raises(ValueError, match="2026-03-04T05:06:07 has no zone"),
    ):
        status.put_seen(connection, [(7, replace(VIEW, last_seen=datetime(2026, 3, 4, 5, 6, 7)))], nothing)  # noqa: DTZ001
