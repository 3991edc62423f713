"""The story of an agent that nothing lets in: what took its credential away, when, by whom, and what helps.

The ledger says how it stands and since when; who did it is in the journal, because only there it is kept.
Nothing is decided or written here.
"""

from datetime import datetime

from sqlalchemy import Connection

from distribution.flows.audit import last_about
from keys import bearer, gateways, ledger
from keys.identity import AgentId
from keys.ledger import Enrollment, Standing
from storage.database import Database

_KINDS = {
    Standing.REVOKED: "agent.revoked",
    Standing.RESET: "agent.reset",
    Standing.BANNED: "agent.banned",
}
_SAID = {
    Standing.REVOKED: "its credentials were revoked",
    Standing.RESET: "it was reset",
    Standing.BANNED: "it was banned",
}
_FIRST = (
    "an enrollment token (`token create`), `agents certify` for another key, or `agents token create {agent}`"
)
_ANEW = (
    "an enrollment token (`token create`, and on its host `quartermaster-agent enroll TOKEN --again`), "
    "`agents certify` for another key, or `agents token create {agent}`"
)
"""A host that has a certificate uses no token unless it is told to: it cannot know that it was reset."""
_HELPS = {
    Standing.REVOKED: f"it stays out until `agents reset {{agent}}`, and then needs {_ANEW}",
    Standing.RESET: f"it did not come again since, and needs {_ANEW}",
    Standing.BANNED: f"it stays out until `agents reset {{agent}} --lift-ban`, and then needs {_ANEW}",
}


def what_ended(database: Database, agent: AgentId) -> str:
    """Return why an agent has no live credential, and what an operator can do, as part of a sentence."""
    with database.read() as connection:
        stands = ledger.enrollment_of(connection, agent)
        if stands is None:
            return f"it never enrolled, and needs {_FIRST.format(agent=f'{agent} --new')}"
        if stands.standing in _KINDS:
            return _standing(connection, stands)
        if stands.standing is Standing.ADMITTED:
            return _passage(connection, agent)
        return _token(connection, agent)


def _standing(connection: Connection, stands: Enrollment) -> str:
    kind, subject = _KINDS[stands.standing], f"agent:{stands.agent}"
    why = ""
    entry = last_about(connection, subject, kind)
    if entry is not None and (reason := entry.detail.get("reason")):
        why = f" (reason: {reason})"
    when = _when(stands.standing_since, "" if entry is None else entry.actor)
    helps = _HELPS[stands.standing].format(agent=stands.agent)
    return f"{_SAID[stands.standing]} {when}{why}; {helps}"


def _token(connection: Connection, agent: AgentId) -> str:
    """Say which token of an enrolled agent was the last to be revoked; what else it held was not signed."""
    ended = [(token.revoked_at, token) for token in bearer.tokens_of(connection, agent) if token.revoked_at]
    if not ended:
        return f"no certificate of it was ever finished; it asks again, or `agents reset {agent}`"
    at, token = max(ended, key=lambda one: one[0])
    entry = last_about(connection, f"bearer:{token.id}", "bearer.revoked")
    when = _when(at, "" if entry is None else entry.actor)
    return f"its bearer token {token.id} was revoked {when}; `agents token create {agent}` makes another"


def _passage(connection: Connection, agent: AgentId) -> str:
    spoke = [passage.gateway for passage in gateways.ended_passages(connection, agent)]
    named = f"gateway {spoke[0]}" if spoke else "a gateway"
    return (
        f"{named} spoke for it and does not any more; `gateways admit GATEWAY {agent}` lets one speak for "
        f"it, `agents token create {agent}` gives it a credential of its own"
    )


def _when(at: datetime, actor: str) -> str:
    return f"at {at:%FT%TZ} by {actor}" if actor else f"at {at:%FT%TZ}, by whom is not known"
