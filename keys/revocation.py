"""Taking credentials away: what one transaction writes when an agent is revoked, banned or reset.

Rules:

1. Every open credential of the agent goes at once, intents too: what was begun cannot be finished later.
   So do its bearer tokens, and that a gateway speaks for it; a gateway loses its role, which was granted to
   a certificate: whoever enrolls under its name after a reset has an enrollment token and no more. What an
   operator approved of a request that waits goes too: the key may be that of the host that was thrown out.
2. Doing it again changes nothing and answers the same, so that whoever could not cut a connection can try
   again.
3. After a revocation the agent may not enroll until an operator resets it; after a ban a plain reset is
   refused.
4. The journal's entry is part of the transaction.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from keys import bearer, gateways, ledger, waiting
from keys.certificate import Reason, Revoked
from keys.errors import RefusedError, UnknownError
from keys.identity import AgentId
from keys.ledger import Enrollment, Standing, State
from storage import journal


def revoke(
    connection: Connection, agent: AgentId, reason: Reason, *, actor: str, now: datetime, ban: bool
) -> Revoked:
    """Take away an agent's credentials; with `ban`, let it never enroll again.

    Raises:
        UnknownError: no such agent ever enrolled.
    """
    enrollment = _require_enrollment(connection, agent)
    banned = enrollment.standing is Standing.BANNED
    gone = _end_all(connection, agent, reason, now)
    through = gateways.end_role(connection, agent, actor=actor, now=now) or ()
    detail: dict[str, journal.JSON] = {"reason": reason.value, **_named(gone)}
    if gone.credentials or enrollment.standing not in {Standing.REVOKED, Standing.BANNED}:
        _note(connection, "agent.revoked", agent, actor=actor, detail=detail, now=now)
        _stand(connection, enrollment, Standing.BANNED if banned else Standing.REVOKED, now)
    if ban and not banned:
        _note(connection, "agent.banned", agent, actor=actor, detail={"reason": reason.value}, now=now)
        _stand(connection, enrollment, Standing.BANNED, now)
    # By what went, not by its time: a clock that was set back would name an earlier revocation.
    last = replace(gone, passages=(*gone.passages, *through))
    if not gone.credentials and not through:
        last = _last_revocation(connection, agent, reason, now)
    return replace(last, banned=banned or ban)


def reset(connection: Connection, agent: AgentId, *, actor: str, now: datetime, lift_ban: bool) -> Revoked:
    """Take away an agent's credentials, and let it enroll again with a token and a new key.

    Raises:
        UnknownError: no such agent ever enrolled. RefusedError: it is banned and `lift_ban` is not given.
    """
    enrollment = require_resettable(connection, agent, lift_ban=lift_ban)
    gone = _end_all(connection, agent, Reason.SUPERSEDED, now)
    through = gateways.end_role(connection, agent, actor=actor, now=now) or ()
    if enrollment.standing is not Standing.RESET:
        detail: dict[str, journal.JSON] = {**_named(gone), "was": enrollment.standing.value}
        _note(connection, "agent.reset", agent, actor=actor, detail=detail, now=now)
        _stand(connection, enrollment, Standing.RESET, now)
    if gone.credentials or through:
        return replace(gone, passages=(*gone.passages, *through))
    return _last_revocation(connection, agent, Reason.SUPERSEDED, now)


def require_resettable(connection: Connection, agent: AgentId, *, lift_ban: bool) -> Enrollment:
    """Return how the agent stands, if it may be reset. Raises: as `reset`."""
    enrollment = _require_enrollment(connection, agent)
    if enrollment.standing is Standing.BANNED and not lift_ban:
        since = enrollment.standing_since.isoformat()
        raise RefusedError(f"agent {agent} is banned since {since}; only --lift-ban resets it (lift_ban)")
    return enrollment


def _require_enrollment(connection: Connection, agent: AgentId) -> Enrollment:
    enrollment = ledger.enrollment_of(connection, agent)
    if enrollment is None:
        raise UnknownError(f"agent {agent} never enrolled")
    return enrollment


def _end_all(connection: Connection, agent: AgentId, reason: Reason, now: datetime) -> Revoked:
    serials = tuple(held.serial for held in ledger.open_credentials(connection, agent))
    ledger.end(connection, serials, State.REVOKED, now, reason)
    tokens = tuple(held.id for held in bearer.live_of(connection, agent))
    bearer.end(connection, tokens, now)
    passage = gateways.end_passage(connection, agent, now)
    waiting.forget(connection, agent)
    return Revoked(agent, serials, reason, now, tokens, () if passage is None else (passage,))


def _named(gone: Revoked) -> dict[str, journal.JSON]:
    named: dict[str, journal.JSON] = {"serials": [str(serial) for serial in gone.serials]}
    if gone.tokens:
        named["tokens"] = [str(token) for token in gone.tokens]
    if gone.passages:
        named["gateways"] = [str(passage.gateway) for passage in gone.passages]
    return named


def _last_revocation(connection: Connection, agent: AgentId, reason: Reason, now: datetime) -> Revoked:
    """Return the newest revocation that the ledger holds: this one, or the one before if nothing was left.

    Tokens and passages are named whenever they ended: to cut what is cut already costs nothing.
    """
    revoked = [
        held
        for held in ledger.credentials_of(connection, agent)
        if held.state is State.REVOKED and held.ended_at is not None
    ]
    at = max((held.ended_at for held in revoked if held.ended_at is not None), default=now)
    last = [held for held in revoked if held.ended_at == at]
    why = next((held.reason for held in last if held.reason is not None), reason)
    tokens = tuple(held.id for held in bearer.tokens_of(connection, agent))
    ended = gateways.ended_passages(connection, agent)
    return Revoked(agent, tuple(held.serial for held in last), why, at, tokens, tuple(ended))


def _stand(connection: Connection, enrollment: Enrollment, standing: Standing, now: datetime) -> None:
    ledger.put_enrollment(connection, replace(enrollment, standing=standing, standing_since=now))


def _note(
    connection: Connection,
    kind: str,
    agent: AgentId,
    *,
    actor: str,
    detail: Mapping[str, journal.JSON],
    now: datetime,
) -> None:
    journal.append(connection, kind=kind, actor=actor, subject=f"agent:{agent}", detail=detail, at=now)
