"""Passages: for which agents a gateway may speak, and how an agent comes to be one of them.

Rules:

1. An agent is admitted through a gateway by an operator, or, where the gateway's role says so, at first
   sight, if nobody knows it yet and there are not too many.
2. One agent is spoken for by one gateway at most, and by none once it holds a credential of its own.
3. Whoever was revoked or banned comes in through no gateway either.

These functions read and write rows inside the caller's transaction, and journal what they change.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, insert, select, update

from keys import bearer, ledger
from keys.certificate import Passage
from keys.errors import NotAdmittedError, RefusedError
from keys.gateways import (
    BY_OPERATOR,
    Admits,
    note,
    passage_of,
    passages,
    require_role,
    role_of,
    standing_said,
)
from keys.identity import AgentId
from keys.ledger import Enrollment, Standing
from storage import journal

BEHIND_MAX: Final = 20_000
"""Agents that one gateway speaks for."""


def admit(
    connection: Connection,
    gateway: AgentId,
    agent: AgentId,
    labels: Mapping[str, str],
    *,
    actor: str,
    now: datetime,
) -> Passage:
    """Let a gateway speak for an agent, by an operator's word; again is no error.

    Raises:
        RefusedError: the gateway has no role, another one speaks for the agent, the agent holds a credential
            of its own, is revoked or banned, or there are `BEHIND_MAX` already.
    """
    require_role(connection, gateway)
    before = ledger.enrollment_of(connection, agent)
    found = passage_of(connection, agent)
    if found is not None and found.gateway == gateway:
        return found
    if found is not None:
        raise RefusedError(
            f"agent {agent} is spoken for by gateway {found.gateway}, not by gateway {gateway}"
        )
    if before is not None and before.standing not in {Standing.RESET, Standing.ADMITTED}:
        raise RefusedError(
            f"agent {agent} {standing_said(before)}; a gateway speaks for it only after a reset"
        )
    _require_nothing_of_its_own(connection, agent)
    return _put(connection, Passage(agent, gateway), before, labels, actor=actor, now=now)


def admit_new(connection: Connection, gateway: AgentId, agent: AgentId, now: datetime) -> Passage:
    """Let a gateway speak for an agent at first sight, if its role says so; again is no error.

    Raises:
        NotAdmittedError: the role does not say so, the agent is known already, or there are too many.
    """
    role = role_of(connection, gateway)
    found = passage_of(connection, agent)
    if found is not None and found.gateway == gateway:
        return found
    if role is None or role.admits is not Admits.NEW:
        raise NotAdmittedError(f"agent {agent} was not admitted through gateway {gateway}")
    before = ledger.enrollment_of(connection, agent)
    if before is not None and not _was_behind(connection, agent, gateway, before):
        raise NotAdmittedError(
            f"agent {agent} {standing_said(before)}, gateway {gateway} admits only agents that nobody knows"
        )
    try:
        return _put(
            connection, Passage(agent, gateway), before, role.labels, actor=f"agent:{gateway}", now=now
        )
    except RefusedError as exc:
        raise NotAdmittedError(str(exc)) from exc


def _put(
    connection: Connection,
    passage: Passage,
    before: Enrollment | None,
    labels: Mapping[str, str],
    *,
    actor: str,
    now: datetime,
) -> Passage:
    behind = func.count(passages.c.agent)
    live = (passages.c.gateway == str(passage.gateway), passages.c.ended_at.is_(None))
    there = int(connection.execute(select(behind).where(*live)).scalar_one())
    if there >= BEHIND_MAX:
        raise RefusedError(
            f"gateway {passage.gateway} speaks for {there} agents, at most {BEHIND_MAX} are let"
        )
    token_id = BY_OPERATOR if before is None else before.token_id
    given = labels or (before.labels if before is not None else {})
    ledger.put_enrollment(connection, Enrollment(passage.agent, token_id, given, now, Standing.ADMITTED, now))
    values = {"gateway": str(passage.gateway), "admitted_at": now, "admitted_by": actor, "ended_at": None}
    named = passages.c.agent == str(passage.agent)
    if connection.execute(update(passages).where(named).values(values)).rowcount == 0:
        connection.execute(insert(passages).values(agent=str(passage.agent), **values))
    detail: dict[str, journal.JSON] = {"gateway": str(passage.gateway), "labels": dict(given)}
    note(connection, "gateway.admitted", passage.agent, actor=actor, detail=detail, now=now)
    return passage


def _was_behind(connection: Connection, agent: AgentId, gateway: AgentId, before: Enrollment) -> bool:
    """Whether this gateway spoke for it before, and nothing happened to the agent since."""
    row = connection.execute(select(passages.c.gateway).where(passages.c.agent == str(agent))).one_or_none()
    return before.standing is Standing.ADMITTED and row is not None and row.gateway == str(gateway)


def _require_nothing_of_its_own(connection: Connection, agent: AgentId) -> None:
    held = [str(each.serial) for each in ledger.open_credentials(connection, agent)]
    held += [str(each.id) for each in bearer.live_of(connection, agent)]
    if held:
        raise RefusedError(
            f"agent {agent} holds {', '.join(held)} of its own; no gateway speaks for such an agent"
        )
