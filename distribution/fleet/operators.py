"""Tokens of operators and pipelines: who may speak to the operators' API, until when, and for what.

Rules: the secret is shown once and kept as a salted hash; it is compared in constant time; what is expired
or revoked is refused by name. A name may be given again once its token is revoked or expired.

A token's text is `<name>.<secret>`. Secrets are 32 random bytes, so one round of SHA-256 is enough.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    LargeBinary,
    RowMapping,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from distribution.domain.package import require_name
from distribution.domain.scope import Scope
from distribution.errors import ConflictError, InvalidError, UnauthenticatedError, UnknownError
from storage.database import UtcDateTime, metadata

operator_tokens: Final = Table(
    "operator_tokens",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("salt", LargeBinary(32), nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime, nullable=True),
)

_NAME_MAX_CHARS = 63
_NO_SALT = bytes(16)
_NO_HASH = bytes(32)
_REFUSED = "token is unknown, expired or revoked"


@dataclass(frozen=True, slots=True)
class Operator:
    """One token without its secret; times are aware UTC."""

    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        """Tell whether the token would be let in at `now`."""
        return self.revoked_at is None and now < self.expires_at


def create(
    connection: Connection,
    *,
    name: str,
    secret: str,
    salt: bytes,
    scopes: Iterable[Scope],
    expires_at: datetime,
    actor: str,
    now: datetime,
) -> Operator:
    """Remember a new token.

    Raises:
        InvalidError: the name cannot be one, no scope is given, or it expires before it begins.
        ConflictError: a live token has the name.
    """
    held = frozenset(scopes)
    if not held:
        raise InvalidError(f"operator {name!r} would hold no scope")
    if expires_at <= now:
        raise InvalidError(f"operator {name!r} would expire at {expires_at:%FT%TZ}, it is {now:%FT%TZ}")
    before = find(connection, require_name(name))
    if before is not None and before.is_live(now):
        raise ConflictError(f"operator {name!r} exists and expires at {before.expires_at:%FT%TZ}")
    operator = Operator(name, held, now, actor, expires_at, None)
    connection.execute(delete(operator_tokens).where(operator_tokens.c.name == name))
    connection.execute(
        insert(operator_tokens).values(
            name=name,
            salt=salt,
            secret_hash=_hash(salt, secret),
            scopes=sorted(str(scope) for scope in held),
            created_at=now,
            created_by=actor,
            expires_at=expires_at,
            revoked_at=None,
        )
    )
    return operator


def recognise(connection: Connection, presented: str) -> Operator:
    """Return whose token was presented, whether or not its time is over.

    Raises:
        UnauthenticatedError: no token has that name and secret; which of the two it was is not said.
    """
    name, _, secret = presented.partition(".")
    row = _row(connection, name) if _is_plain(name) else None
    salt, expected = (_NO_SALT, _NO_HASH) if row is None else (row["salt"], row["secret_hash"])
    same = hmac.compare_digest(_hash(salt, secret), expected)
    if row is None or not same:
        raise UnauthenticatedError(_REFUSED)
    return _from_row(row)


def require_live(operator: Operator, now: datetime) -> None:
    """Refuse a token whose time is over.

    Raises:
        UnauthenticatedError: it was revoked or has expired; it says when.
    """
    name = operator.name
    if operator.revoked_at is not None:
        raise UnauthenticatedError(f"token of operator {name!r} was revoked at {operator.revoked_at:%FT%TZ}")
    if now >= operator.expires_at:
        raise UnauthenticatedError(f"token of operator {name!r} expired at {operator.expires_at:%FT%TZ}")


def find(connection: Connection, name: str) -> Operator | None:
    """Return the token of that name, or None."""
    row = _row(connection, name)
    return None if row is None else _from_row(row)


def every(connection: Connection) -> tuple[Operator, ...]:
    """Return all tokens in the order of their names."""
    rows = connection.execute(select(operator_tokens).order_by(operator_tokens.c.name)).mappings()
    return tuple(_from_row(row) for row in rows)


def revoke(connection: Connection, name: str, now: datetime) -> bool:
    """Revoke the token; return whether that changed anything. Raises UnknownError if there is none."""
    found = find(connection, name)
    if found is None:
        raise UnknownError(f"operator {name!r} does not exist")
    if found.revoked_at is not None:
        return False
    connection.execute(update(operator_tokens).where(operator_tokens.c.name == name).values(revoked_at=now))
    return True


def _row(connection: Connection, name: str) -> RowMapping | None:
    query = select(operator_tokens).where(operator_tokens.c.name == name)
    return connection.execute(query).mappings().first()


def _from_row(row: RowMapping) -> Operator:
    return Operator(
        name=row["name"],
        scopes=frozenset(Scope.parse(text) for text in row["scopes"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _hash(salt: bytes, secret: str) -> bytes:
    return hashlib.sha256(salt + secret.encode()).digest()


def _is_plain(name: str) -> bool:
    """Tell whether a presented name can be asked for at all; whoever presents it may be anybody."""
    return name.isascii() and name.isprintable() and len(name) <= _NAME_MAX_CHARS
