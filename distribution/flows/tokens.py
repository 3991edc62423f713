"""The story of an enrollment token: made for hosts that are to become agents, listed, taken back.

The secret leaves the server once, in the answer to the one who made it. Endpoints and pins are put around it
by the operator's own command, from the operator's own trust file, never from what the server says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from distribution.errors import InvalidError
from keys import tokens
from keys.known_tokens import KnownTokens
from keys.tokens import TokenState
from storage.database import Database

LIFE_MAX = timedelta(days=366)
"""No enrollment token is good for longer."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made; nobody can show its secret again."""

    state: TokenState
    secret: str

    def __repr__(self) -> str:
        return f"NewToken(state={self.state!r}, secret=<hidden>)"


def create(
    database: Database,
    known: KnownTokens,
    *,
    token_id: str,
    secret: str,
    salt: bytes,
    labels: Mapping[str, str],
    expires_at: datetime,
    uses: int,
    actor: str,
    now: datetime,
) -> NewToken:
    """Make a token that lets `uses` different keys enroll until `expires_at`, with these labels.

    Raises:
        InvalidError: it would live too long. RefusedError: a value is out of its limits.
    """
    if expires_at > now + LIFE_MAX:
        raise InvalidError(
            f"token would live until {expires_at:%FT%TZ}, at most {LIFE_MAX.days} days are given"
        )
    with database.write() as connection:
        state = tokens.create(
            connection,
            token_id=token_id,
            secret=secret,
            salt=salt,
            labels=labels,
            expires_at=expires_at,
            uses=uses,
            actor=actor,
            now=now,
        )
    known.add(token_id, salt=salt, secret=secret, expires_at=expires_at)
    return NewToken(state, secret)


def every(database: Database) -> tuple[TokenState, ...]:
    """Return all tokens, without secrets, oldest first."""
    with database.read() as connection:
        return tuple(tokens.all_tokens(connection))


def revoke(database: Database, known: KnownTokens, token_id: str, *, actor: str, now: datetime) -> TokenState:
    """Let nobody enroll with it any more; agents that did keep their credentials.

    Raises:
        UnknownError: there is no such token.
    """
    with database.write() as connection:
        state = tokens.revoke(connection, token_id, actor=actor, now=now)
    known.forget(token_id)
    return state
