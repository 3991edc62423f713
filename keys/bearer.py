"""Bearer tokens: the credential of one agent whose client can present no certificate.

Rules:

1. A token is one agent's identity, not a right to become one. Whoever presents it is that agent, whatever
   instance uid its messages carry.
2. The secret is made by this server: 32 random bytes. Only its SHA-256 is kept. No salt and no slow hash:
   those make up for secrets that people choose; nobody finds 256 random bits by trying, with or without a
   table. It is compared in constant time, also where no such token exists.
3. An agent has at most two live ones: the one in use and the one that is to follow it.
4. Each one ends: by its own time, by its revocation, or with all that its agent holds.

Presented as `<id>.<secret>`. These functions read and write rows inside the caller's transaction.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)

from keys.certificate import BearerId
from keys.errors import NotAdmittedError, RefusedError, UnknownError
from keys.identity import AgentId
from storage import journal
from storage.database import UtcDateTime, metadata

LIVE_MAX: Final = 2
"""Live tokens of one agent: the current one and the next."""

LIFE_MAX: Final = timedelta(days=1096)
"""No bearer token is good for longer."""

PRESENTED_MAX_CHARS: Final = 128
"""An id, a dot and a secret are shorter; what is longer is no token."""

NOT_OURS: Final = "bearer token is not one of ours"
"""All that anybody learns whose token is unknown, wrong, revoked or no token at all."""

_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes in base64url
_NO_HASH: Final = bytes(32)

bearer_tokens: Final = Table(
    "bearer_tokens",
    metadata,
    Column("token_id", String(64), primary_key=True),
    Column("agent", String(36), ForeignKey("enrollments.agent"), nullable=False),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime, nullable=True),
    Index("ix_bearer_tokens_agent", "agent"),
)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """One row; the secret is known to nobody here. Times are aware UTC."""

    id: BearerId
    agent: AgentId
    secret_sha256: bytes = field(repr=False)
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None = None


def create(
    connection: Connection,
    *,
    token: BearerId,
    secret: str,
    agent: AgentId,
    expires_at: datetime,
    actor: str,
    now: datetime,
) -> BearerToken:
    """Give an agent a token, and journal it. The caller MUST have seen that the agent may hold one.

    Args:
        connection: a durable transaction.
        token: a new name.
        secret: 32 random bytes as base64url without padding, 43 characters.
        agent: whose it is; it has an enrollment.
        expires_at: aware UTC.
        actor: who makes it, `operator:<name>`.
        now: aware UTC.

    Raises:
        RefusedError: the secret is no such one, the life is not positive or too long, or the agent has
            `LIVE_MAX` live ones.
    """
    if _SECRET.fullmatch(secret) is None:
        raise RefusedError(f"secret of bearer token {token} is not 43 base64url characters")
    if not now < expires_at <= now + LIFE_MAX:
        raise RefusedError(
            f"bearer token {token} would end at {expires_at.isoformat()}, "
            f"expected within {LIFE_MAX.days} days from {now.isoformat()}"
        )
    _require_room(connection, agent, now)
    made = BearerToken(token, agent, _hash(secret), now, actor, expires_at)
    connection.execute(
        insert(bearer_tokens).values(
            token_id=str(token),
            agent=str(agent),
            secret_sha256=made.secret_sha256,
            created_at=now,
            created_by=actor,
            expires_at=expires_at,
        )
    )
    detail: dict[str, journal.JSON] = {"agent": str(agent), "expires_at": expires_at.isoformat()}
    subject = f"bearer:{token}"
    journal.append(connection, kind="bearer.created", actor=actor, subject=subject, detail=detail, at=now)
    return made


def _require_room(connection: Connection, agent: AgentId, now: datetime) -> None:
    live = [held for held in live_of(connection, agent) if now < held.expires_at]
    if len(live) >= LIVE_MAX:
        named = ", ".join(str(held.id) for held in live)
        raise RefusedError(
            f"agent {agent} has {len(live)} live bearer tokens ({named}), at most {LIVE_MAX} are given"
        )


def revoke(connection: Connection, token: BearerId, *, actor: str, now: datetime) -> BearerToken:
    """End one token, and journal it; again is no error. The caller MUST cut its connections.

    Raises:
        UnknownError: there is no such token.
    """
    held = find(connection, token)
    if held.revoked_at is not None:
        return held
    end(connection, [token], now)
    detail: dict[str, journal.JSON] = {"agent": str(held.agent)}
    journal.append(
        connection, kind="bearer.revoked", actor=actor, subject=f"bearer:{token}", detail=detail, at=now
    )
    return find(connection, token)


def end(connection: Connection, tokens: Sequence[BearerId], at: datetime) -> None:
    """Close these tokens where they are not closed yet. Whoever calls it journals why."""
    connection.execute(
        update(bearer_tokens)
        .where(
            bearer_tokens.c.token_id.in_([str(token) for token in tokens]),
            bearer_tokens.c.revoked_at.is_(None),
        )
        .values(revoked_at=at)
    )


def find(connection: Connection, token: BearerId) -> BearerToken:
    """Return one token. Raises UnknownError if there is none of that name."""
    row = connection.execute(
        select(bearer_tokens).where(bearer_tokens.c.token_id == str(token))
    ).one_or_none()
    if row is None:
        raise UnknownError(f"bearer token {token} does not exist")
    return _token(row)


def tokens_of(connection: Connection, agent: AgentId) -> list[BearerToken]:
    """Return every token ever given to one agent, oldest first."""
    return _all(connection, bearer_tokens.c.agent == str(agent))


def live_of(connection: Connection, agent: AgentId) -> list[BearerToken]:
    """Return the tokens of one agent that were not revoked, whether or not their time is over."""
    return _all(connection, bearer_tokens.c.agent == str(agent), bearer_tokens.c.revoked_at.is_(None))


def all_live(connection: Connection) -> list[BearerToken]:
    """Return the tokens of all agents that were not revoked, whether or not their time is over."""
    return _all(connection, bearer_tokens.c.revoked_at.is_(None))


def split(presented: str) -> tuple[BearerId, str] | None:
    """Return id and secret of `<id>.<secret>`, None if it cannot be a token."""
    if len(presented) > PRESENTED_MAX_CHARS:
        return None
    name, _, secret = presented.partition(".")
    try:
        return BearerId(name), secret
    except RefusedError:
        return None


def prove(presented: str, secrets: Mapping[BearerId, bytes]) -> BearerId:
    """Return the token that was presented, if its secret is the one of its hash in `secrets`.

    It takes the same time where no such token exists.

    Raises:
        NotAdmittedError: it is not; said in the same words for an unknown token and a wrong secret.
    """
    token, secret = split(presented) or (None, presented[:PRESENTED_MAX_CHARS])
    known = None if token is None else secrets.get(token)
    same = hmac.compare_digest(_hash(secret), known or _NO_HASH)
    if token is None or known is None or not same:
        raise NotAdmittedError(NOT_OURS)
    return token


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _all(connection: Connection, *asked: ColumnElement[bool]) -> list[BearerToken]:
    order = (bearer_tokens.c.created_at, bearer_tokens.c.token_id)
    return [_token(row) for row in connection.execute(select(bearer_tokens).where(*asked).order_by(*order))]


def _token(row: Row[tuple[object, ...]]) -> BearerToken:
    return BearerToken(
        id=BearerId(row.token_id),
        agent=AgentId.parse(row.agent),
        secret_sha256=bytes(row.secret_sha256),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
