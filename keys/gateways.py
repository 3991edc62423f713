"""Gateways: agents that may speak for others over their own connection.

Rules:

1. The role is an operator's grant to one agent, for its certificate. It gives no credential to anybody.
2. A gateway speaks only for agents that were admitted through it (`keys.passages`): its role alone opens
   nothing.
3. With the role, every passage through it ends.

These functions read and write rows inside the caller's transaction, and journal what they change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Final

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Row,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)

from keys import ledger
from keys.certificate import Passage
from keys.errors import RefusedError, UnknownError
from keys.identity import AgentId
from keys.ledger import Enrollment, Standing, State
from storage import journal
from storage.database import UtcDateTime, metadata

BY_OPERATOR: Final = ""
"""In the place of an enrollment token's id: an operator let the agent in; the journal says who."""

gateways: Final = Table(
    "gateways",
    metadata,
    Column("agent", String(36), ForeignKey("enrollments.agent"), primary_key=True),
    Column("admits", String(8), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("granted_at", UtcDateTime, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("ended_at", UtcDateTime, nullable=True),
)

passages: Final = Table(
    "passages",
    metadata,
    Column("agent", String(36), ForeignKey("enrollments.agent"), primary_key=True),
    Column("gateway", String(36), ForeignKey("gateways.agent"), nullable=False),
    Column("admitted_at", UtcDateTime, nullable=False),
    Column("admitted_by", Text, nullable=False),
    Column("ended_at", UtcDateTime, nullable=True),
    Index("ix_passages_gateway", "gateway"),
)


class Admits(Enum):
    """Whom a gateway may bring."""

    LISTED = "listed"
    """Agents that an operator admitted through it."""
    NEW = "new"
    """Also those that nobody has seen before, up to `keys.passages.BEHIND_MAX`."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One live grant. `labels` are given to agents admitted at first sight. Times are aware UTC."""

    agent: AgentId
    admits: Admits
    labels: Mapping[str, str]
    granted_at: datetime
    granted_by: str


def grant(connection: Connection, gateway: Gateway) -> Gateway:
    """Give the role, or change what it says.

    Raises:
        UnknownError: the agent never enrolled.
        RefusedError: it is not enrolled for itself, a gateway speaks for it, or it has no certificate.
    """
    enrollment = ledger.enrollment_of(connection, gateway.agent)
    if enrollment is None or enrollment.standing is not Standing.ENROLLED:
        refusal = UnknownError if enrollment is None else RefusedError
        raise refusal(f"agent {gateway.agent} {standing_said(enrollment)}, expected enrolled by itself")
    if all(one.state is not State.LIVE for one in ledger.open_credentials(connection, gateway.agent)):
        # By a token the role opens nothing (`admit_through`): it would be given and never work.
        raise RefusedError(
            f"agent {gateway.agent} holds no certificate, by which a gateway speaks for others"
        )
    values = {
        "admits": gateway.admits.value,
        "labels": dict(gateway.labels),
        "granted_at": gateway.granted_at,
        "granted_by": gateway.granted_by,
        "ended_at": None,
    }
    named = gateways.c.agent == str(gateway.agent)
    if connection.execute(update(gateways).where(named).values(values)).rowcount == 0:
        connection.execute(insert(gateways).values(agent=str(gateway.agent), **values))
    detail: dict[str, journal.JSON] = {"admits": gateway.admits.value, "labels": dict(gateway.labels)}
    note(
        connection,
        "gateway.granted",
        gateway.agent,
        actor=gateway.granted_by,
        detail=detail,
        now=gateway.granted_at,
    )
    return gateway


def end_role(
    connection: Connection, gateway: AgentId, *, actor: str, now: datetime
) -> tuple[Passage, ...] | None:
    """Take the role away and end every passage through it; None if there is no such role.

    The caller MUST cut what is returned.
    """
    if role_of(connection, gateway) is None:
        return None
    gone = tuple(passages_through(connection, gateway))
    close(connection, passages, passages.c.gateway == str(gateway), now)
    close(connection, gateways, gateways.c.agent == str(gateway), now)
    note(connection, "gateway.revoked", gateway, actor=actor, detail={"agents": len(gone)}, now=now)
    return gone


def role_of(connection: Connection, agent: AgentId) -> Gateway | None:
    """Return the agent's live role, if it is a gateway."""
    row = connection.execute(
        select(gateways).where(gateways.c.agent == str(agent), gateways.c.ended_at.is_(None))
    ).one_or_none()
    return None if row is None else _gateway(row)


def was_gateway(connection: Connection, agent: AgentId) -> bool:
    """Whether the agent ever had the role."""
    row = connection.execute(select(gateways.c.agent).where(gateways.c.agent == str(agent))).one_or_none()
    return row is not None


def loses_role(connection: Connection, enrollment: Enrollment) -> bool:
    """Whether an agent has the role, or lost it in the very change by which it stands as it does.

    A revocation and a reset write both at one time; a role that an operator took away alone ended before.
    """
    ended = gateways.c.ended_at.is_(None) | (gateways.c.ended_at == enrollment.standing_since)
    query = select(gateways.c.agent).where(gateways.c.agent == str(enrollment.agent), ended)
    return connection.execute(query).one_or_none() is not None


def require_role(connection: Connection, agent: AgentId) -> Gateway:
    """Return the agent's live role. Raises UnknownError if it is no gateway."""
    found = role_of(connection, agent)
    if found is None:
        raise UnknownError(f"agent {agent} is no gateway")
    return found


def all_roles(connection: Connection) -> list[Gateway]:
    """Return every live role, in the order of their agents."""
    query = select(gateways).where(gateways.c.ended_at.is_(None)).order_by(gateways.c.agent)
    return [_gateway(row) for row in connection.execute(query)]


def end_passage(connection: Connection, agent: AgentId, now: datetime) -> Passage | None:
    """Let nobody speak for an agent any more; return what ended. Whoever calls it journals why."""
    found = passage_of(connection, agent)
    if found is not None:
        close(connection, passages, passages.c.agent == str(agent), now)
    return found


def passage_of(connection: Connection, agent: AgentId) -> Passage | None:
    """Return by whom the agent is spoken for, None if by nobody."""
    found = _passages(connection, passages.c.agent == str(agent))
    return found[0] if found else None


def passages_through(connection: Connection, gateway: AgentId) -> list[Passage]:
    """Return all that a gateway may speak for, in the order of their ids."""
    return _passages(connection, passages.c.gateway == str(gateway))


def ended_passages(connection: Connection, agent: AgentId) -> list[Passage]:
    """Return the passages that ended for this agent and, if it was a gateway, through it."""
    either = (passages.c.agent == str(agent)) | (passages.c.gateway == str(agent))
    rows = connection.execute(
        select(passages.c.agent, passages.c.gateway).where(either, passages.c.ended_at.is_not(None))
    )
    return [Passage(AgentId.parse(agent), AgentId.parse(gateway)) for agent, gateway in rows]


def all_passages(connection: Connection) -> list[Passage]:
    """Return every live passage."""
    return _passages(connection)


def standing_said(enrollment: Enrollment | None) -> str:
    """Return how an agent stands, as part of a sentence."""
    if enrollment is None:
        return "never enrolled"
    return f"is {enrollment.standing.value} since {enrollment.standing_since.isoformat()}"


def close(connection: Connection, table: Table, which: ColumnElement[bool], at: datetime) -> None:
    """Write when rows of `table` ended, where they did not end before."""
    connection.execute(update(table).where(which, table.c.ended_at.is_(None)).values(ended_at=at))


def _passages(connection: Connection, *which: ColumnElement[bool]) -> list[Passage]:
    query = select(passages.c.agent, passages.c.gateway).where(passages.c.ended_at.is_(None), *which)
    rows = connection.execute(query.order_by(passages.c.agent))
    return [Passage(AgentId.parse(agent), AgentId.parse(gateway)) for agent, gateway in rows]


def _gateway(row: Row[tuple[object, ...]]) -> Gateway:
    labels = MappingProxyType(dict(row.labels))
    return Gateway(AgentId.parse(row.agent), Admits(row.admits), labels, row.granted_at, row.granted_by)


def note(
    connection: Connection,
    kind: str,
    agent: AgentId,
    *,
    actor: str,
    detail: dict[str, journal.JSON],
    now: datetime,
) -> None:
    """Journal what happened to an agent's role or passage."""
    journal.append(connection, kind=kind, actor=actor, subject=f"agent:{agent}", detail=detail, at=now)
