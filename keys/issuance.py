"""What the authority writes before and after the key is used: the decisions of one transaction each.

Rules:

1. A serial is drafted, linted and recorded as an intent in one transaction; only a recorded draft is signed.
2. The same key finds what it was given before, or what was begun for it, before anything new is made.
3. A key that was ever revoked, or that is another agent's, is never certified again.
4. A token does not make a second agent out of one that stands: that needs an operator's reset.

Everything here runs inside the caller's durable transaction and uses no key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from keys import gateways, ledger, tokens, waiting
from keys.certificate import Reason, Serial, Slot
from keys.errors import IssuerError, LintError, RefusedError
from keys.identity import AgentId
from keys.issuer import Draft, Issuer
from keys.ledger import Credential, Enrollment, Standing, State
from keys.pace import RENEWALS_SPAN, require_seldom
from keys.policy import ApprovedRequest
from keys.profile import AgentProfile, Window
from keys.rotation import renewal_due
from keys.standing import (
    require_current,
    require_free,
    require_known,
    require_standing,
    require_usable_key,
)
from storage import journal


@dataclass(frozen=True, slots=True)
class Pending:
    """What a request leads to: a credential that is live already, or an intent with the draft to sign."""

    held: Credential
    draft: Draft | None


class Issuance:
    """Decides what is to be signed, and records it before and after. Holds no state of its own."""

    def __init__(self, issuer: Issuer, profile: AgentProfile, new_serial: Callable[[], Serial]) -> None:
        self._issuer = issuer
        self._profile = profile
        self._new_serial = new_serial

    def intend_enrollment(
        self,
        connection: Connection,
        request: ApprovedRequest,
        token: str,
        now: datetime,
        *,
        through: AgentId | None = None,
    ) -> Pending:
        """Redeem the token and record an intent, or find what this token gave this key before.

        `through` is the gateway that brings it; an agent that one speaks for enrolls through that alone.

        Raises:
            TokenRefusedError, RefusedError, IssuerError, LintError: see `Authority.enroll`.
        """
        grant = tokens.redeem(
            connection, token, agent=request.agent, spki_sha256=request.spki_sha256, now=now
        )
        require_usable_key(connection, request)
        before = ledger.enrollment_of(connection, request.agent)
        if grant.again:
            require_standing(before, request.agent, Standing.ENROLLED)
            found = self._find_again(connection, request, grant.token_id, now)
            if found is not None:
                return found
        else:
            if before is not None:
                require_free(connection, before, through)
            ledger.put_enrollment(
                connection,
                Enrollment(request.agent, grant.token_id, grant.labels, now, Standing.ENROLLED, now),
            )
        return self.intend(connection, request, Slot.CURRENT, grant.token_id, now)

    def intend_renewal(
        self, connection: Connection, request: ApprovedRequest, presented: Serial, now: datetime
    ) -> Pending:
        """Record an intent for the next slot, or find what this key was given before.

        Raises:
            NotAdmittedError, RefusedError, IssuerError, LintError: see `Authority.renew`.
        """
        current = require_current(connection, presented, request.agent, now)
        require_usable_key(connection, request)
        early = not renewal_due(current.not_before, current.not_after, now)
        if early and request.spki_sha256 == current.spki_sha256:
            return Pending(current, None)
        for held in ledger.open_credentials(connection, request.agent):
            if held.slot is Slot.CURRENT:
                continue
            if held.spki_sha256 == request.spki_sha256:
                found = self.resume(held, request, now)
                if found is not None:
                    return found
            replace_by_another(connection, held, now)
        require_seldom(ledger.count_since(connection, request.agent, now - RENEWALS_SPAN), request.agent)
        return self.intend(connection, request, Slot.NEXT, None, now)

    def store(
        self, connection: Connection, intent: Credential, chain_pem: bytes, now: datetime
    ) -> Credential:
        """Make a signed intent live, and return the credential as it is stored.

        If another attempt stored it first, that one's is returned.

        Raises:
            RefusedError: it was revoked or abandoned while the key was at work; nothing may be handed out.
        """
        found = require_known(connection, intent.serial)
        if found.state is State.INTENT:
            ledger.make_live(connection, intent.serial, chain_pem, now)
            kind = "credential.issued" if intent.slot is Slot.CURRENT else "credential.renewed"
            note(connection, kind, intent, now)
            if intent.slot is Slot.CURRENT:
                _note_enrolled(connection, intent, now)
                gateways.end_passage(connection, intent.agent, now)
                waiting.forget(connection, intent.agent)
            found = require_known(connection, intent.serial)
        if found.state is not State.LIVE:
            raise RefusedError(
                f"serial {found.serial} of agent {found.agent} was {found.state.value} before it was finished"
            )
        return found

    def _find_again(
        self, connection: Connection, request: ApprovedRequest, token_id: str, now: datetime
    ) -> Pending | None:
        """Return what this token gave this key before. Raises RefusedError if that is over."""
        for held in ledger.credentials_with_key(connection, request.spki_sha256):
            if held.token_id != token_id or held.state is State.ABANDONED:
                continue
            found = self.resume(held, request, now)
            if found is not None:
                return found
            if held.state is not State.INTENT:
                ended = held.ended_at or held.not_after
                raise RefusedError(
                    f"serial {held.serial} of agent {held.agent}, which this token gave, is over since "
                    f"{ended.isoformat()}; an operator must reset the agent before it can enroll again"
                )
            replace_by_another(connection, held, now)
        return None

    def resume(self, held: Credential, request: ApprovedRequest, now: datetime) -> Pending | None:
        """Return what an earlier attempt left, if it can be given, or finished, as it is.

        An intent that would be signed differently today (another issuer, another profile) cannot.
        """
        if now >= held.not_after:
            return None
        if held.state is State.LIVE:
            return Pending(held, None)
        if held.state is not State.INTENT:
            return None
        try:
            draft = self._draft(request, held.serial, Window(held.not_before, held.not_after))
        except (IssuerError, LintError):
            return None
        return Pending(held, draft) if draft.sha256 == held.unsigned_sha256 else None

    def intend(
        self,
        connection: Connection,
        request: ApprovedRequest,
        slot: Slot,
        token_id: str | None,
        now: datetime,
    ) -> Pending:
        """Draft and lint a new certificate, and record its serial. Raises IssuerError, LintError."""
        draft = self._draft(request, self._new_serial(), self._issuer.holds(self._profile, now))
        intent = Credential(
            serial=draft.serial,
            agent=request.agent,
            slot=slot,
            state=State.INTENT,
            spki_sha256=request.spki_sha256,
            token_id=token_id,
            unsigned_sha256=draft.sha256,
            not_before=draft.holds.not_before,
            not_after=draft.holds.not_after,
            chain_pem=b"",
            intended_at=now,
        )
        ledger.put_intent(connection, intent)
        note(connection, "credential.intended", intent, now, unsigned_sha256=draft.sha256.hex())
        return Pending(intent, draft)

    def _draft(self, request: ApprovedRequest, serial: Serial, holds: Window) -> Draft:
        return self._issuer.draft(
            self._profile, agent=request.agent, public_key=request.public_key, serial=serial, holds=holds
        )


def replace_by_another(connection: Connection, held: Credential, now: datetime) -> None:
    """End an open credential because another one of its agent takes its place, and journal it."""
    state = State.SUPERSEDED if held.state is State.LIVE else State.ABANDONED
    ledger.end(connection, [held.serial], state, now, Reason.SUPERSEDED)
    note(connection, "credential.superseded", held, now, was=held.state.value)


def note(
    connection: Connection, kind: str, held: Credential, now: datetime, *, actor: str = "", **more: str
) -> None:
    """Journal what happened to one serial; by its agent, if nobody else is named."""
    detail: dict[str, journal.JSON] = {
        "agent": str(held.agent),
        "slot": held.slot.value,
        "spki_sha256": held.spki_sha256.hex(),
        "not_after": held.not_after.isoformat(),
        **more,
    }
    who, subject = actor or f"agent:{held.agent}", f"serial:{held.serial}"
    journal.append(connection, kind=kind, actor=who, subject=subject, detail=detail, at=now)


def _note_enrolled(connection: Connection, held: Credential, now: datetime) -> None:
    enrollment = ledger.enrollment_of(connection, held.agent)
    detail: dict[str, journal.JSON] = {
        "serial": str(held.serial),
        "token": held.token_id,
        "labels": {} if enrollment is None else dict(enrollment.labels),
    }
    who = f"agent:{held.agent}"
    journal.append(connection, kind="agent.enrolled", actor=who, subject=who, detail=detail, at=now)
