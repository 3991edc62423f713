"""The certificate authority: enrolls, renews, promotes and revokes agents, one story a method.

How a certificate is made, and why a crash between any two steps loses nothing:

    Step 1  The request is judged (`keys.policy`). Nothing is written.
    Step 2  One durable transaction: the token's use, the agent's standing, a new serial as an intent, and the
            journal's entry. The certificate was drafted and linted before, without the key.
    Step 3  The key signs the draft; the result is verified by code that is not ours.
    Step 4  One durable transaction: the intent becomes live, with its journal entry.
    Step 5  Admission reads the agent's rows again. From here on the certificate opens a connection.

A retry with the same key finds what the broken attempt left: nothing (1), an intent, which it finishes by
signing the same bytes (2, 3), or the certificate itself (4, 5). Two attempts at once both sign the same
bytes, and the second finds the first one's certificate stored.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime

from sqlalchemy import Connection

from keys import ledger, revocation
from keys.admission import Admission
from keys.certificate import Issued, Passage, Reason, Revoked, Serial, Slot
from keys.errors import NotAdmittedError, RefusedError, TokenRefusedError
from keys.identity import AgentId
from keys.issuance import Issuance, Pending, note, replace_by_another
from keys.issuer import Issuer
from keys.ledger import Credential, State
from keys.ordering import Ordering
from keys.policy import approve
from keys.profile import AgentProfile
from keys.refusals import Refusals
from storage.database import Database, in_utc
from storage.errors import StorageError


class Authority:
    """Issues and takes away agents' certificates. Safe to use from any thread; every method blocks on I/O.

    Every method takes `now`, aware. Beside what it says, each raises what `Database.write` raises; the
    caller may then simply ask again.
    """

    def __init__(
        self,
        database: Database,
        issuer: Issuer,
        profile: AgentProfile,
        admission: Admission,
        new_serial: Callable[[], Serial],
    ) -> None:
        """`new_serial` MUST return a serial of 16 to 19 random bytes (`keys.profile.serial_from`)."""
        self._database = database
        self._issuer = issuer
        self._profile = profile
        self._admission = admission
        self._issuance = Issuance(issuer, profile, new_serial)
        self._ordering = Ordering(self._issuance)
        self._refusals = Refusals(database)

    def enroll(self, csr_pem: bytes, token: str, instance_uid: AgentId, now: datetime) -> Issued:
        """Make an agent out of a request and a presented token, `<token_id>.<secret>`.

        The same token and the same key get the same certificate again and consume nothing.

        Raises:
            TokenRefusedError: the token does not admit. RefusedError: the request, the key or the agent's
            standing does not. IssuerError, LintError: the fault is ours; the token was not consumed.
        """
        now = in_utc(now)
        with self._journalled(instance_uid, "a stranger's request", now):
            request = approve(csr_pem, expected=instance_uid, trust_domain=self._profile.trust_domain)
        with self._journalled(instance_uid, str(instance_uid), now), self._database.write() as connection:
            pending = self._issuance.intend_enrollment(connection, request, token, now)
        return self._finish(pending, now)

    def enroll_through(self, csr_pem: bytes, passage: Passage, now: datetime) -> Issued | None:
        """Give an agent that a gateway speaks for a certificate of its own; None while its request waits.

        Its own enrollment token in the request, or an operator's approval of its key, is what gives it; the
        gateway's word alone never does. From then on the gateway speaks no more for it.

        Raises:
            TokenRefusedError, RefusedError, IssuerError, LintError: as `enroll`.
        """
        now, agent = in_utc(now), passage.agent
        with self._journalled(agent, str(agent), now):
            request = approve(
                csr_pem, expected=agent, trust_domain=self._profile.trust_domain, may_carry_token=True
            )
            with self._database.write() as connection:
                pending = (
                    self._ordering.approved(connection, request, now)
                    if request.token is None
                    else self._issuance.intend_enrollment(
                        connection, request, request.token, now, through=passage.gateway
                    )
                )
        return None if pending is None else self._finish(pending, now)

    def certify(
        self, csr_pem: bytes, agent: AgentId | None, labels: Mapping[str, str], actor: str, now: datetime
    ) -> Issued:
        """Give an agent a certificate by an operator's order, for a request that a file brought.

        For an agent that has one already it is the next one: the first connection with it ends the old. The
        same key gets the same certificate again, until that is due to be renewed.

        Args:
            csr_pem: the request.
            agent: whose it is; None where the request names it.
            labels: of an agent that nobody knows yet.
            actor: who orders, `operator:<name>`.
            now: aware.

        Raises:
            RefusedError: the request, the key or the agent's standing is not accepted. IssuerError,
            LintError: the fault is ours.
        """
        now, domain = in_utc(now), self._profile.trust_domain
        request = approve(csr_pem, expected=agent, trust_domain=domain, may_be_unnamed=agent is not None)
        with self._database.write() as connection:
            pending = self._ordering.certified(connection, request, labels, now, actor=actor)
        return self._finish(pending, now)

    def renew(self, csr_pem: bytes, presented: Serial, instance_uid: AgentId, now: datetime) -> Issued:
        """Make the agent's next certificate; the current one stays until the next one is first used.

        The same key gets the same certificate again; another key takes the place of a next one that was
        never used. A request with the current certificate's own key, before that one is due, is a repeated
        request whose answer was used already: it gets the current certificate.

        Raises:
            NotAdmittedError: `presented` is not this agent's current serial. RefusedError: the request or the
            key is not accepted. IssuerError, LintError: the fault is ours.
        """
        now = in_utc(now)
        with self._journalled(instance_uid, str(presented), now):
            request = approve(csr_pem, expected=instance_uid, trust_domain=self._profile.trust_domain)
            with self._database.write() as connection:
                pending = self._issuance.intend_renewal(connection, request, presented, now)
        return self._finish(pending, now)

    def promote(self, presented: Serial, now: datetime) -> tuple[Serial, ...]:
        """Note that an admitted connection presented this serial: a next one becomes current, the old dies.

        Returns:
            The serials that are no longer admitted: the caller MUST cut their connections. Empty, without
            any I/O, if the serial was current already.

        Raises:
            NotAdmittedError: it is not live.
        """
        admitted = self._admission.admit(presented)
        if admitted.slot is Slot.CURRENT:
            return ()
        before = self._admission.serials_of(admitted.agent)
        with self._database.write() as connection:
            held = ledger.credential(connection, presented)
            if held is None or held.state is not State.LIVE:
                raise NotAdmittedError(f"serial {presented} is no longer live, it was when it connected")
            if held.slot is Slot.NEXT:
                _make_current(connection, held, in_utc(now))
        self._admission.refresh(admitted.agent)
        after = self._admission.serials_of(admitted.agent)
        return tuple(serial for serial in before if serial not in after)

    def revoke(
        self, agent: AgentId, reason: Reason, actor: str, now: datetime, *, ban: bool = False
    ) -> Revoked:
        """Take away everything an agent holds, from its next message on. Repeating it answers the same.

        The caller MUST cut the connections of the credentials that are returned.

        Raises:
            UnknownError: no such agent ever enrolled.
        """
        with self._database.write() as connection:
            revoked = revocation.revoke(connection, agent, reason, actor=actor, now=in_utc(now), ban=ban)
        self._admission.drop(agent)
        self._admission.forget(revoked.passages)
        return revoked

    def reset(self, agent: AgentId, actor: str, now: datetime, *, lift_ban: bool = False) -> Revoked:
        """Take away everything an agent holds and let it enroll again, with a key that was never revoked.

        The caller MUST cut the connections of the credentials that are returned.

        Raises:
            UnknownError: no such agent ever enrolled. RefusedError: it is banned and `lift_ban` is not given.
        """
        with self._database.write() as connection:
            revoked = revocation.reset(connection, agent, actor=actor, now=in_utc(now), lift_ban=lift_ban)
        self._admission.drop(agent)
        self._admission.forget(revoked.passages)
        with suppress(StorageError):  # it may have enrolled again between the commit and the drop
            self._admission.refresh(agent)
        return revoked

    def _finish(self, pending: Pending, now: datetime) -> Issued:
        """Steps 3 to 5."""
        held = pending.held
        try:
            if pending.draft is not None:
                chain_pem = self._issuer.sign(pending.draft)
                with self._database.write() as connection:
                    held = self._issuance.store(connection, held, chain_pem, now)
        finally:
            # Also where signing failed: step 2 may have ended a credential that was live.
            self._admission.refresh(held.agent)
        return Issued(held.serial, held.agent, held.slot, held.chain_pem, held.not_before, held.not_after)

    @contextmanager
    def _journalled(self, agent: AgentId, key: str, now: datetime) -> Iterator[None]:
        """Journal what the block refuses; `key` says which refusals count as the same."""
        who = f"agent:{agent}"
        try:
            yield
        except TokenRefusedError as exc:
            name = exc.token_id or "unknown"
            self._refusals.note(
                "token.refused", key=name, actor=who, subject=f"token:{name}", why=str(exc), now=now
            )
            raise
        except RefusedError as exc:
            self._refusals.note("credential.refused", key=key, actor=who, subject=who, why=str(exc), now=now)
            raise


def _make_current(connection: Connection, held: Credential, now: datetime) -> None:
    for other in ledger.open_credentials(connection, held.agent):
        if other.slot is Slot.CURRENT:
            replace_by_another(connection, other, now)
    ledger.make_current(connection, held.serial)
    note(connection, "credential.promoted", held, now)
