"""Certificates that an operator orders or approves: what one transaction writes before the key is used.

Rules:

1. An operator's order needs no token. It makes a new agent, gives one the next certificate, or finds the one
   of the same key. Whoever was revoked is reset first.
2. An agent that a gateway speaks for gets one when an operator approved its very key; until then it waits.
3. All else is as for an enrollment (`keys.issuance`).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from keys import gateways, ledger, waiting
from keys.certificate import Slot
from keys.errors import RefusedError
from keys.issuance import Issuance, Pending, note, replace_by_another
from keys.ledger import Enrollment, Standing, State
from keys.pace import RENEWALS_SPAN, require_seldom
from keys.policy import ApprovedRequest
from keys.standing import is_due, require_standing, require_usable_key


class Ordering:
    """Decides what is to be signed by an operator's word. Holds no state of its own."""

    def __init__(self, issuance: Issuance) -> None:
        self._issuance = issuance

    def certified(
        self,
        connection: Connection,
        request: ApprovedRequest,
        labels: Mapping[str, str],
        now: datetime,
        *,
        actor: str,
    ) -> Pending:
        """Record an intent that an operator ordered: of the current slot, or of the next if that is taken.

        Raises:
            RefusedError, IssuerError, LintError: see `Authority.certify`.
        """
        require_usable_key(connection, request)
        before = ledger.enrollment_of(connection, request.agent)
        if before is not None and before.standing in {Standing.REVOKED, Standing.BANNED}:
            require_standing(before, request.agent, Standing.RESET)
        if labels and before is not None and before.standing is not Standing.RESET:
            raise RefusedError(
                f"agent {request.agent} is enrolled already, its labels are changed by `label`"
            )
        slot = Slot.CURRENT
        for held in ledger.open_credentials(connection, request.agent):
            same = held.spki_sha256 == request.spki_sha256 and not is_due(held, now)
            found = self._issuance.resume(held, request, now) if same else None
            if found is not None:
                return found
            if held.slot is Slot.NEXT or held.state is State.INTENT:
                replace_by_another(connection, held, now)
            else:
                slot = Slot.NEXT
        require_seldom(ledger.count_since(connection, request.agent, now - RENEWALS_SPAN), request.agent)
        if before is None or before.standing is not Standing.ENROLLED:
            given = labels or ({} if before is None else before.labels)
            known = Enrollment(request.agent, gateways.BY_OPERATOR, given, now, Standing.ENROLLED, now)
            ledger.put_enrollment(connection, known)
        pending = self._issuance.intend(connection, request, slot, None, now)
        note(connection, "credential.ordered", pending.held, now, actor=actor)
        return pending

    def approved(self, connection: Connection, request: ApprovedRequest, now: datetime) -> Pending | None:
        """Record an intent for a request that an operator approved; None while it waits for that.

        For an agent that a gateway speaks for. The caller has seen that it may.

        Raises:
            RefusedError, IssuerError, LintError: see `Authority.enroll_through`.
        """
        require_usable_key(connection, request)
        before = ledger.enrollment_of(connection, request.agent)
        before = require_standing(before, request.agent, Standing.ADMITTED)
        if gateways.passage_of(connection, request.agent) is None:
            raise RefusedError(f"agent {request.agent} is spoken for by no gateway any more")
        if not waiting.is_approved(connection, request, now):
            return None
        ledger.put_enrollment(connection, replace(before, standing=Standing.ENROLLED, standing_since=now))
        return self._issuance.intend(connection, request, Slot.CURRENT, None, now)
