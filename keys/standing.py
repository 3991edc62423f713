"""What a request for a certificate must find in the ledger before anything is written for it.

Every function reads in the caller's transaction, and raises where it does not find it.
"""

from datetime import datetime

from sqlalchemy import Connection

from keys import gateways, ledger
from keys.certificate import Serial, Slot
from keys.errors import NotAdmittedError, RefusedError, TakenError
from keys.identity import AgentId
from keys.ledger import Credential, Enrollment, Standing, State
from keys.policy import ApprovedRequest
from keys.rotation import renewal_due


def require_known(connection: Connection, serial: Serial) -> Credential:
    """Return what the ledger knows of a serial. Raises RefusedError if it is not ours."""
    found = ledger.credential(connection, serial)
    if found is None:
        raise RefusedError(f"serial {serial} is not in the ledger")
    return found


def require_current(connection: Connection, presented: Serial, agent: AgentId, now: datetime) -> Credential:
    """Return the credential that may be renewed: live, current, in time, and of this agent."""
    held = ledger.credential(connection, presented)
    if held is None:
        raise NotAdmittedError(f"serial {presented} is not in the ledger")
    if held.agent != agent:
        raise NotAdmittedError(f"serial {presented} belongs to agent {held.agent}, not to agent {agent}")
    if held.state is not State.LIVE or held.slot is not Slot.CURRENT:
        raise NotAdmittedError(
            f"serial {presented} of agent {agent} is {held.state.value} and {held.slot.value}, "
            "expected live and current"
        )
    if now >= held.not_after:
        raise NotAdmittedError(
            f"serial {presented} of agent {agent} ended at {held.not_after.isoformat()}, "
            f"now is {now.isoformat()}"
        )
    return held


def require_standing(enrollment: Enrollment | None, agent: AgentId, expected: Standing) -> Enrollment:
    """Return how an agent stands, if it stands so. Raises RefusedError."""
    if enrollment is None:
        raise RefusedError(f"agent {agent} never enrolled, expected {expected.value}")
    if enrollment.standing is not expected:
        raise RefusedError(
            f"agent {agent} is {enrollment.standing.value} since {enrollment.standing_since.isoformat()}; "
            "an operator must reset it before it can enroll again"
        )
    return enrollment


def require_free(connection: Connection, before: Enrollment, through: AgentId | None) -> None:
    """Check that this uid may be enrolled now. Raises TakenError where it is an agent that is in use."""
    agent = before.agent
    if before.standing is Standing.ADMITTED:
        passage = gateways.passage_of(connection, agent)
        if passage is None or passage.gateway != through:
            raise TakenError(f"agent {agent} came in by a gateway, and enrolls through that one alone")
        return
    try:
        require_standing(before, agent, Standing.RESET)
    except RefusedError as exc:
        if before.standing is Standing.ENROLLED:
            raise TakenError(str(exc)) from exc
        raise


def is_due(held: Credential, now: datetime) -> bool:
    """Say whether a live certificate is old enough for its key to get another one."""
    return held.state is State.LIVE and renewal_due(held.not_before, held.not_after, now)


def require_usable_key(connection: Connection, request: ApprovedRequest) -> None:
    """Check that the key is nobody else's and was never revoked. Raises RefusedError."""
    for held in ledger.credentials_with_key(connection, request.spki_sha256):
        if held.agent != request.agent:
            raise RefusedError(
                f"key of the request is agent {held.agent}'s, it came from agent {request.agent}"
            )
        if held.state is State.REVOKED:
            raise RefusedError(
                f"key of the request was revoked with serial {held.serial} of agent {held.agent}; "
                "a new key is needed"
            )
