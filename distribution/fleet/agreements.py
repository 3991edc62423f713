"""Which intended configuration each agent was last seen to run: what tells drift from never so."""

from datetime import datetime
from typing import Final

from sqlalchemy import Column, Connection, String, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from keys.identity import AgentId
from storage.database import UtcDateTime, metadata

agreements: Final = Table(
    "config_agreements",
    metadata,
    Column("uid", String(36), primary_key=True),
    Column("intended", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)


def find(connection: Connection, agent: AgentId) -> str:
    """Return the digest (hexadecimal) of what the agent was last seen to run, empty if nothing was."""
    query = select(agreements.c.intended).where(agreements.c.uid == str(agent))
    return connection.scalar(query) or ""


def keep(connection: Connection, agent: AgentId, intended: str, now: datetime) -> None:
    """Note that the agent was seen to run the configuration of this digest (hexadecimal)."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(agreements).values(uid=str(agent), intended=intended, at=now)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[agreements.c.uid],
            set_={"intended": statement.excluded.intended, "at": statement.excluded.at},
        )
    )


def remove(connection: Connection, agent: AgentId) -> None:
    """Forget what the agent was seen to run."""
    connection.execute(delete(agreements).where(agreements.c.uid == str(agent)))
