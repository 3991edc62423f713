"""The story of a revocation: recorded, then cut, then refused wherever the agent turns.

Step 1  the authority takes the agent's credentials away (certificates, bearer tokens, a gateway's word for
        it), in one transaction with the journal; from its commit on admission knows them no more, so a new
        handshake, a message and a renewal are refused.
Step 2  the live connections of these credentials are closed at once, not at their next message.
Step 3  what was cut, and how long it took, is journalled.

A crash between step 1 and 2 closes the connections too: they are this process's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from distribution.flows.ports import Clock, Connections
from keys.certificate import BearerId, Reason, Revoked, Serial
from keys.identity import AgentId
from storage import journal
from storage.database import Database

Stopwatch = Callable[[], float]
"""Returns seconds of a clock that only moves forward."""


class Revoker(Protocol):
    """The part of `keys.authority.Authority` that this story and `flows.reset` need."""

    def revoke(
        self, agent: AgentId, reason: Reason, actor: str, now: datetime, *, ban: bool = False
    ) -> Revoked:
        """Take every live credential of the agent away and journal it, in one transaction."""
        ...

    def reset(self, agent: AgentId, actor: str, now: datetime, *, lift_ban: bool = False) -> Revoked:
        """Take its credentials away and let it enroll again with a new token, in one transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Cut:
    """What a revocation did. `elapsed_ms` is from the command to the last closed connection."""

    agent: AgentId
    serials: tuple[Serial, ...]
    connections: int
    elapsed_ms: float
    tokens: tuple[BearerId, ...] = ()
    banned: bool = False


def revoke(
    authority: Revoker,
    connections: Connections,
    database: Database,
    agent: AgentId,
    reason: Reason,
    *,
    ban: bool,
    actor: str,
    clock: Clock,
    stopwatch: Stopwatch,
) -> Cut:
    """Revoke an agent's credentials and cut its connections; again is no error and cuts what is left.

    Args:
        authority: whose ledger it is.
        connections: the live ones.
        database: where the journal is.
        agent: whose credentials end.
        reason: RFC 5280 5.3.1.
        ban: refuse every later enrollment of this agent too.
        actor: who revokes, `operator:<name>`.
        clock: aware UTC.
        stopwatch: measures from here to the cut.

    Raises:
        UnknownError: the agent never enrolled.
    """
    began = stopwatch()
    revoked = authority.revoke(agent, reason, actor, clock(), ban=ban)
    closed = connections.cut(revoked.credentials, f"agent {agent} was revoked")
    return receipt(database, revoked, closed, stopwatch() - began, actor=actor, now=clock())


def receipt(
    database: Database, revoked: Revoked, closed: int, seconds: float, *, actor: str, now: datetime
) -> Cut:
    """Journal what was cut, if anything was, and return it."""
    elapsed_ms = round(seconds * 1000, 3)
    if closed:
        with database.write() as connection:
            journal.append(
                connection,
                kind="connection.cut",
                actor=actor,
                subject=f"agent:{revoked.agent}",
                detail={
                    "serials": [str(serial) for serial in revoked.serials],
                    **({"tokens": [str(token) for token in revoked.tokens]} if revoked.tokens else {}),
                    "connections": closed,
                    "elapsed_ms": elapsed_ms,
                },
                at=now,
            )
    return Cut(revoked.agent, revoked.serials, closed, elapsed_ms, revoked.tokens, revoked.banned)
