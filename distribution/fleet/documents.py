"""Long texts that an agent reported: its effective configuration, and what it could run. The last of each.

Rules: what is kept here was made safe to show before (secrets out); it is read when somebody asks for it,
never for a decision, and never for all agents at once.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from sqlalchemy import Column, Connection, String, Table, Text, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from keys.identity import AgentId
from storage.database import UtcDateTime, metadata

documents: Final = Table(
    "agent_documents",
    metadata,
    Column("uid", String(36), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

_SAME: Final = select(documents.c.uid).where(
    documents.c.uid == bindparam("agent"),
    documents.c.kind == bindparam("of"),
    documents.c.digest == bindparam("named"),
    documents.c.body == bindparam("said"),
)
"""Made once, like every query that each report of an effective configuration asks."""


class Kind(Enum):
    """What a document is of."""

    EFFECTIVE = "effective"
    COMPONENTS = "components"


@dataclass(frozen=True, slots=True)
class Document:
    """One text as it was kept. `digest` is of what the agent reported, hexadecimal; `at` is aware UTC."""

    digest: str
    body: str
    at: datetime


def keep(connection: Connection, agent: AgentId, kind: Kind, document: Document) -> None:
    """Keep this as the agent's last document of its kind."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(documents).values(
        uid=str(agent), kind=kind.value, digest=document.digest, body=document.body, at=document.at
    )
    told = {name: statement.excluded[name] for name in ("digest", "body", "at")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=[documents.c.uid, documents.c.kind], set_=told)
    )


def remove(connection: Connection, agent: AgentId) -> None:
    """Keep no document of the agent any more."""
    connection.execute(delete(documents).where(documents.c.uid == str(agent)))


def find(connection: Connection, agent: AgentId, kind: Kind) -> Document | None:
    """Return the agent's last document of this kind."""
    row = connection.execute(
        select(documents.c.digest, documents.c.body, documents.c.at).where(
            documents.c.uid == str(agent), documents.c.kind == kind.value
        )
    ).one_or_none()
    return None if row is None else Document(row.digest, row.body, row.at)


def is_kept(connection: Connection, agent: AgentId, kind: Kind, document: Document) -> bool:
    """Whether the agent's last document of this kind has this digest and this body, whenever it was told."""
    which = {"agent": str(agent), "of": kind.value, "named": document.digest, "said": document.body}
    return connection.scalar(_SAME, which) is not None
