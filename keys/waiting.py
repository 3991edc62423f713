"""Certificate requests that came through a gateway and wait for an operator's word.

Rules:

1. A request waits under its agent and the name of its key: what an operator approves is that key, for that
   agent, and nothing a gateway could put in its place.
2. One agent has one waiting request: another key takes its place, and an approval does not pass on to it.
3. An approval is good for `APPROVED_FOR`; then the request waits again.
4. A gateway that changes an agent's key again and again writes at most a row in `ANOTHER_AFTER`, and no
   journal.

These functions read and write rows inside the caller's transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from keys import gateways
from keys.errors import RefusedError, UnknownError
from keys.identity import AgentId
from keys.policy import ApprovedRequest
from storage import journal
from storage.database import UtcDateTime, metadata

APPROVED_FOR: Final = timedelta(days=7)
"""How long an approval waits for the agent to ask again."""

ANOTHER_AFTER: Final = timedelta(minutes=1)
"""How long a waiting request keeps its place before one for another key may take it."""

waiting_requests: Final = Table(
    "waiting_requests",
    metadata,
    Column("agent", String(36), ForeignKey("enrollments.agent"), primary_key=True),
    Column("spki_sha256", LargeBinary(32), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("approved_at", UtcDateTime, nullable=True),
    Column("approved_by", Text, nullable=True),
)


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """One request. `key` is the SHA-256 of its public key, in hex; times are aware UTC."""

    agent: AgentId
    key: str
    asked_at: datetime
    approved_at: datetime | None


def is_approved(connection: Connection, request: ApprovedRequest, now: datetime) -> bool:
    """Say whether an operator approved this key for this agent; where not, the request waits from now on.

    Raises:
        RefusedError: a request of the agent for another key came less than `ANOTHER_AFTER` ago.
    """
    found = _find(connection, request.agent)
    same = found is not None and found.key == request.spki_sha256.hex()
    if same and found is not None and found.approved_at is not None:
        return now < found.approved_at + APPROVED_FOR
    if found is not None and not same and now < found.asked_at + ANOTHER_AFTER:
        raise RefusedError(
            f"agent {request.agent} asked for key {found.key} at {found.asked_at.isoformat()}, "
            f"for another it may ask {ANOTHER_AFTER} later"
        )
    if not same:
        forget(connection, request.agent)
        connection.execute(
            insert(waiting_requests).values(
                agent=str(request.agent), spki_sha256=request.spki_sha256, asked_at=now
            )
        )
    return False


def approve(connection: Connection, agent: AgentId, key: str, *, actor: str, now: datetime) -> WaitingRequest:
    """Approve the agent's waiting request if it is for the key of this name (hex), and journal it.

    Raises:
        UnknownError: no request of the agent waits. RefusedError: it is for another key.
    """
    found = _find(connection, agent)
    if found is None:
        raise UnknownError(f"no request of agent {agent} waits")
    if found.key != key.lower():
        raise RefusedError(f"request of agent {agent} is for key {found.key}, approved was {key[:80]!r}")
    connection.execute(
        update(waiting_requests)
        .where(waiting_requests.c.agent == str(agent))
        .values(approved_at=now, approved_by=actor)
    )
    detail: dict[str, journal.JSON] = {"spki_sha256": found.key}
    journal.append(
        connection, kind="request.approved", actor=actor, subject=f"agent:{agent}", detail=detail, at=now
    )
    return WaitingRequest(agent, found.key, found.asked_at, now)


def all_waiting(connection: Connection) -> list[WaitingRequest]:
    """Return every request of an agent that a gateway still speaks for, oldest first."""
    order = (waiting_requests.c.asked_at, waiting_requests.c.agent)
    rows = connection.execute(select(waiting_requests).order_by(*order))
    behind = {passage.agent for passage in gateways.all_passages(connection)}
    return [found for found in map(_request, rows) if found.agent in behind]


def forget(connection: Connection, agent: AgentId) -> None:
    """Let no request of the agent wait any more."""
    connection.execute(delete(waiting_requests).where(waiting_requests.c.agent == str(agent)))


def _find(connection: Connection, agent: AgentId) -> WaitingRequest | None:
    row = connection.execute(
        select(waiting_requests).where(waiting_requests.c.agent == str(agent))
    ).one_or_none()
    return None if row is None else _request(row)


def _request(row: Row[tuple[object, ...]]) -> WaitingRequest:
    return WaitingRequest(
        AgentId.parse(row.agent), bytes(row.spki_sha256).hex(), row.asked_at, row.approved_at
    )
