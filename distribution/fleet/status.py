"""The status of agents: health, whether they are connected, when they were last heard.

This is what changes all the time, so its rows are narrow, named by the agent's number in the index, and
written many by one statement. It is written relaxed: agents say it again.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Boolean, Column, Connection, Integer, Table, Text, update

from distribution.domain.agent import AgentView
from distribution.fleet.rows import health_text
from storage.bulk import Pause, put_rows
from storage.database import UtcSeconds, metadata

status: Final = Table(
    "agent_status",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("health", Text, nullable=True),
    Column("connected", Boolean, nullable=False),
    Column("last_seen", UtcSeconds, nullable=True),
    # Room beside each row for its next version: PostgreSQL then touches one page and no index.
    postgresql_with={"fillfactor": 50},
)


def put(connection: Connection, numbered: Iterable[tuple[int, AgentView]], pause: Pause) -> None:
    """Write the status of agents, each with its number; a number comes once at most.

    `pause` is called between batches.
    """
    rows = ((number, health_text(view.health), view.connected, view.last_seen) for number, view in numbered)
    put_rows(connection, status, ("number",), ("health", "connected", "last_seen"), rows, pause=pause)


def put_seen(connection: Connection, numbered: Iterable[tuple[int, AgentView]], pause: Pause) -> None:
    """Write who is connected and when it was last heard, as `put` does; health stays as it was."""
    rows = ((number, view.connected, view.last_seen) for number, view in numbered)
    put_rows(connection, status, ("number",), ("connected", "last_seen"), rows, pause=pause)


def none_connected(connection: Connection) -> None:
    """Record that nobody is connected: the truth when a server starts."""
    connection.execute(update(status).where(status.c.connected.is_(True)).values(connected=False))
