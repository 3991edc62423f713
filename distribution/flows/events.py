"""What became of packages on agents, in the journal: one transaction for all that came at the same time."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from distribution.protocol.effects import PackageEvent
from keys.identity import AgentId
from storage import journal
from storage.database import Database


def note_events(
    database: Database, events: Iterable[tuple[AgentId | None, PackageEvent]], now: datetime
) -> None:
    """Journal what agents say of their packages, in the agents' own words.

    Args:
        database: where the journal is.
        events: each with the agent that it is of.
        now: aware UTC.

    Raises: as `Database.write`.
    """
    with database.write() as connection:
        for agent, event in events:
            _note(connection, agent, event, now)


def _note(connection: Connection, agent: AgentId | None, event: PackageEvent, now: datetime) -> None:
    parts = event.path.split("/")
    name = f"{parts[0]}/{parts[1]}" if event.path else event.name
    journal.append(
        connection,
        kind="package.installed" if event.installed else "package.failed",
        actor=f"agent:{agent}",
        subject=f"package:{name}@{event.version}",
        detail={"path": event.path, "hash": event.hash.hex(), "error": event.error},
        at=now,
    )
