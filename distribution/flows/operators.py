"""The story of an operator's token: made, shown once, revoked. How it is used is `flows.entry`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from distribution.domain.scope import Right, Scope
from distribution.errors import ConflictError, InvalidError
from distribution.fleet import operators
from distribution.fleet.operators import Operator
from storage import journal
from storage.database import Database

LIFE_MAX = timedelta(days=730)
"""No token lives longer; one that is needed longer is made again."""


@dataclass(frozen=True, slots=True)
class NewOperator:
    """A token that was just made; `token` is its text, which nobody can show again."""

    operator: Operator
    token: str

    def __repr__(self) -> str:
        return f"NewOperator(operator={self.operator!r}, token=<hidden>)"


def create(
    database: Database,
    *,
    name: str,
    scopes: Iterable[Scope],
    expires_at: datetime,
    secret: str,
    salt: bytes,
    actor: str,
    now: datetime,
) -> NewOperator:
    """Make a token for an operator or a pipeline.

    Args:
        database: where it is remembered, as a hash.
        name: who will act with it, `operator:<name>` in the journal.
        scopes: what it may do.
        expires_at: aware UTC; at most two years ahead.
        secret: 32 random bytes as URL-safe text.
        salt: 16 random bytes.
        actor: who makes it.
        now: aware UTC.

    Raises:
        InvalidError: a value does not fit. ConflictError: a live token has the name.
    """
    _require_short_life(name, expires_at, now)
    with database.write() as connection:
        operator = operators.create(
            connection,
            name=name,
            secret=secret,
            salt=salt,
            scopes=scopes,
            expires_at=expires_at,
            actor=actor,
            now=now,
        )
        detail: dict[str, journal.JSON] = {
            "scopes": sorted(str(scope) for scope in operator.scopes),
            "expires_at": f"{expires_at:%FT%TZ}",
        }
        _note(connection, "created", name, detail, actor=actor, now=now)
    return NewOperator(operator, f"{name}.{secret}")


def every(database: Database) -> tuple[Operator, ...]:
    """Return all tokens, without secrets, in the order of their names."""
    with database.read() as connection:
        return operators.every(connection)


def revoke(database: Database, name: str, *, actor: str, now: datetime) -> None:
    """End a token at once; again is no error.

    Raises:
        UnknownError: there is none of that name.
        ConflictError: it is the last live one that may make others; make another one first.
    """
    with database.write() as connection:
        _require_not_last(operators.every(connection), name, now)
        if operators.revoke(connection, name, now):
            _note(connection, "revoked", name, {}, actor=actor, now=now)


def _require_short_life(name: str, expires_at: datetime, now: datetime) -> None:
    if expires_at > now + LIFE_MAX:
        raise InvalidError(
            f"operator {name!r} would live until {expires_at:%FT%TZ}, at most {LIFE_MAX.days} days are given"
        )


def _require_not_last(tokens: Iterable[Operator], name: str, now: datetime) -> None:
    """Keep one way in: without a `security` token nobody could make one again."""
    security = Scope(Right.SECURITY)
    keepers = [token.name for token in tokens if token.is_live(now) and security in token.scopes]
    if keepers == [name]:
        raise ConflictError(f"operator {name!r} is the last one with scope {str(security)!r}")


def _note(
    connection: Connection,
    kind: str,
    name: str,
    detail: Mapping[str, journal.JSON],
    *,
    actor: str,
    now: datetime,
) -> None:
    subject = f"operator:{name}"
    journal.append(connection, kind=f"operator.{kind}", actor=actor, subject=subject, detail=detail, at=now)
