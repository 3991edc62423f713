"""Enrollment tokens: who may become an agent, how often, and with which labels.

Rules:

1. Only a salted hash of the secret is stored; it is compared in constant time, also for a token that does not
   exist, and a wrong secret and an unknown token are refused in the same words.
2. A use belongs to a public key. The same token with the same key is the same use again: it consumes nothing,
   and it holds even after the token was used up or has expired, so that an agent that missed the answer can
   ask once more. It does not hold after the token was revoked.
3. Checking and consuming is one step in the caller's durable transaction: the last use is won by one.

A token is presented as `<token_id>.<secret>`.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)

from keys.errors import RefusedError, TokenRefusedError, UnknownError
from keys.identity import AgentId
from storage import journal
from storage.database import UtcDateTime, metadata

USES_MAX: Final = 1_000_000
LABELS_MAX: Final = 64
SALT_MIN_BYTES: Final = 16
PRESENTED_MAX_CHARS: Final = 256
"""More than an id, a dot and a secret; what is cut off cannot match."""

_TOKEN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{22,128}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_NO_SALT: Final = bytes(32)
_NO_HASH: Final = bytes(32)

enrollment_tokens: Final = Table(
    "enrollment_tokens",
    metadata,
    Column("token_id", String(64), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked_at", UtcDateTime, nullable=True),
)

enrollment_uses: Final = Table(
    "enrollment_uses",
    metadata,
    Column("token_id", String(64), ForeignKey("enrollment_tokens.token_id"), primary_key=True),
    Column("spki_sha256", LargeBinary(32), primary_key=True),
    Column("agent", String(36), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)


@dataclass(frozen=True, slots=True)
class TokenState:
    """A token as an operator sees it; its secret is known to nobody here. Times are aware UTC."""

    token_id: str
    labels: Mapping[str, str]
    uses: int
    used: int
    expires_at: datetime
    created_at: datetime
    created_by: str
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token gives. `again`: this key used it before, and nothing was consumed."""

    token_id: str
    labels: Mapping[str, str]
    again: bool


def create(
    connection: Connection,
    *,
    token_id: str,
    secret: str,
    salt: bytes,
    labels: Mapping[str, str],
    expires_at: datetime,
    uses: int,
    actor: str,
    now: datetime,
) -> TokenState:
    """Record a token and journal it. The secret and salt MUST be random, the secret shown once and dropped.

    Raises:
        RefusedError: the id is taken, or a value is out of its limits.
    """
    _require_limits(token_id, secret, salt, labels, uses)
    if expires_at <= now:
        raise RefusedError(f"token {token_id!r} would expire at {expires_at}, now is {now}")
    if _row(connection, token_id) is not None:
        raise RefusedError(f"token {token_id!r} exists already")
    connection.execute(
        insert(enrollment_tokens).values(
            token_id=token_id,
            salt=salt,
            secret_sha256=hashed(salt, secret),
            labels=dict(labels),
            uses=uses,
            used=0,
            expires_at=expires_at,
            created_at=now,
            created_by=actor,
        )
    )
    detail: dict[str, journal.JSON] = {
        "labels": dict(labels),
        "uses": uses,
        "expires_at": expires_at.isoformat(timespec="seconds"),
    }
    journal.append(
        connection, kind="token.created", actor=actor, subject=f"token:{token_id}", detail=detail, at=now
    )
    return _state(_require_row(connection, token_id))


def redeem(
    connection: Connection, presented: str, *, agent: AgentId, spki_sha256: bytes, now: datetime
) -> Grant:
    """Check a presented token and consume one use of it, unless this key has used it before.

    Args:
        connection: a durable transaction; if it rolls back, nothing was consumed.
        presented: `<token_id>.<secret>`, as the agent sent it.
        agent: who asks.
        spki_sha256: the name of the key it proved to hold.
        now: aware UTC.

    Raises:
        TokenRefusedError: unknown, wrong, revoked, expired, used up, or used with this key by another agent.
    """
    row = _require_secret(connection, presented)
    token_id: str = row.token_id
    if row.revoked_at is not None:
        raise TokenRefusedError(f"token {token_id} was revoked at {row.revoked_at.isoformat()}", token_id)
    used_by = _used_by(connection, token_id, spki_sha256)
    if used_by is not None:
        if used_by != agent:
            raise TokenRefusedError(
                f"token {token_id} was used with this key by agent {used_by}, not {agent}", token_id
            )
        return Grant(token_id, MappingProxyType(dict(row.labels)), again=True)
    if now >= row.expires_at:
        raise TokenRefusedError(
            f"token {token_id} expired at {row.expires_at.isoformat()}, now is {now.isoformat()}", token_id
        )
    if row.used >= row.uses:
        raise TokenRefusedError(f"token {token_id} was used {row.used} times of {row.uses}", token_id)
    connection.execute(
        update(enrollment_tokens)
        .where(enrollment_tokens.c.token_id == token_id)
        .values(used=enrollment_tokens.c.used + 1)
    )
    connection.execute(
        insert(enrollment_uses).values(token_id=token_id, spki_sha256=spki_sha256, agent=str(agent), at=now)
    )
    return Grant(token_id, MappingProxyType(dict(row.labels)), again=False)


def revoke(connection: Connection, token_id: str, *, actor: str, now: datetime) -> TokenState:
    """Let nobody enroll with this token any more, and journal it; agents that did keep their credentials.

    Raises:
        UnknownError: there is no such token.
    """
    found = _state(_require_row(connection, token_id))
    if found.revoked_at is not None:
        return found
    connection.execute(
        update(enrollment_tokens).where(enrollment_tokens.c.token_id == token_id).values(revoked_at=now)
    )
    detail = {"used": found.used, "uses": found.uses}
    journal.append(
        connection, kind="token.revoked", actor=actor, subject=f"token:{token_id}", detail=detail, at=now
    )
    return _state(_require_row(connection, token_id))


def all_tokens(connection: Connection) -> list[TokenState]:
    """Return every token ever created, oldest first."""
    order = (enrollment_tokens.c.created_at, enrollment_tokens.c.token_id)
    return [_state(row) for row in connection.execute(select(enrollment_tokens).order_by(*order))]


def _require_limits(token_id: str, secret: str, salt: bytes, labels: Mapping[str, str], uses: int) -> None:
    if _TOKEN_ID.fullmatch(token_id) is None:
        raise RefusedError(f"token id {token_id!r} is not lower-case letters, digits and hyphens, at most 64")
    if _SECRET.fullmatch(secret) is None:
        raise RefusedError(f"secret of token {token_id!r} is not 22 to 128 base64url characters")
    if len(salt) < SALT_MIN_BYTES:
        raise RefusedError(
            f"salt of token {token_id!r} has {len(salt)} bytes, expected {SALT_MIN_BYTES} or more"
        )
    if not 1 <= uses <= USES_MAX:
        raise RefusedError(f"token {token_id!r} would have {uses} uses, expected 1 to {USES_MAX}")
    if len(labels) > LABELS_MAX:
        raise RefusedError(f"token {token_id!r} would give {len(labels)} labels, at most {LABELS_MAX}")
    for key, value in labels.items():
        if _LABEL.fullmatch(key) is None or _LABEL.fullmatch(value) is None:
            raise RefusedError(f"label {key!r}={value!r} is not plain letters, digits and '._/-'")


def _require_secret(connection: Connection, presented: str) -> Row[tuple[object, ...]]:
    """Return the token's row if the secret is its own. Raises TokenRefusedError."""
    token_id, _, secret = presented[:PRESENTED_MAX_CHARS].partition(".")
    row = _row(connection, token_id) if _TOKEN_ID.fullmatch(token_id) else None
    salt = _NO_SALT if row is None else bytes(row.salt)
    expected = _NO_HASH if row is None else bytes(row.secret_sha256)
    same = hmac.compare_digest(hashed(salt, secret), expected)
    if row is None or not same:
        known = None if row is None else token_id
        raise TokenRefusedError("enrollment token is not one of ours", known)
    return row


def hashed(salt: bytes, secret: str) -> bytes:
    """Return what is kept of a secret."""
    return hmac.digest(salt, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _used_by(connection: Connection, token_id: str, spki_sha256: bytes) -> AgentId | None:
    row = connection.execute(
        select(enrollment_uses.c.agent).where(
            enrollment_uses.c.token_id == token_id, enrollment_uses.c.spki_sha256 == spki_sha256
        )
    ).one_or_none()
    return None if row is None else AgentId.parse(row.agent)


def _row(connection: Connection, token_id: str) -> Row[tuple[object, ...]] | None:
    return connection.execute(
        select(enrollment_tokens).where(enrollment_tokens.c.token_id == token_id)
    ).one_or_none()


def _require_row(connection: Connection, token_id: str) -> Row[tuple[object, ...]]:
    row = _row(connection, token_id)
    if row is None:
        raise UnknownError(f"token {token_id!r} does not exist")
    return row


def _state(row: Row[tuple[object, ...]]) -> TokenState:
    return TokenState(
        token_id=row.token_id,
        labels=MappingProxyType(dict(row.labels)),
        uses=row.uses,
        used=row.used,
        expires_at=row.expires_at,
        created_at=row.created_at,
        created_by=row.created_by,
        revoked_at=row.revoked_at,
    )
