"""What operators give agents beside certificates: bearer tokens, the role of a gateway, a place behind one.

Every story is the same three steps: one durable transaction with its journal entry; admission reads the agent
again; the caller cuts what ended. A crash between the first two is mended by the next start, which reads all.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Connection

from keys import bearer, gateways, ledger, passages, waiting
from keys.admission import Admission
from keys.bearer import BearerToken
from keys.certificate import BearerId, CredentialId, Passage
from keys.errors import NotAdmittedError, RefusedError, UnknownError
from keys.gateways import Admits, Gateway
from keys.identity import AgentId
from keys.ledger import Enrollment, Standing
from keys.waiting import WaitingRequest
from storage import journal
from storage.database import Database, in_utc

RequireRole = Callable[[Gateway | None], None]
"""Looks at the role as it stands, in the transaction that changes it; raises what refuses the change."""


def _any_role(_present: Gateway | None) -> None:
    """Whatever the role says is replaced."""


class Grants:
    """Gives and takes. Safe to use from any thread; every method blocks on I/O.

    Beside what it says, each method raises what `Database.write` raises; the caller may then ask again.
    """

    def __init__(self, database: Database, admission: Admission) -> None:
        self._database = database
        self._admission = admission

    def create_token(
        self,
        agent: AgentId,
        *,
        token: BearerId,
        secret: str,
        new: bool,
        labels: Mapping[str, str],
        expires_at: datetime,
        actor: str,
        now: datetime,
    ) -> tuple[BearerToken, tuple[CredentialId, ...]]:
        """Give an agent a bearer token; with `new`, an agent that nobody knows yet, with these labels.

        Returns:
            The token, and what ended by it (a gateway speaks no more for who has a token): to be cut.

        Raises:
            RefusedError: see `bearer.create`; the agent is revoked or banned, unknown without `new`, known
            with it.
        """
        now = in_utc(now)
        with self._database.write() as connection:
            _let_in(connection, agent, labels, new=new, actor=actor, now=now)
            made = bearer.create(
                connection,
                token=token,
                secret=secret,
                agent=agent,
                expires_at=in_utc(expires_at),
                actor=actor,
                now=now,
            )
            ended = gateways.end_passage(connection, agent, now)
        self._admission.refresh(agent)
        return made, () if ended is None else (ended,)

    def revoke_token(self, token: BearerId, actor: str, now: datetime) -> BearerToken:
        """End one bearer token; again is no error. The caller MUST cut its connections.

        Raises:
            UnknownError: there is no such token.
        """
        with self._database.write() as connection:
            ended = bearer.revoke(connection, token, actor=actor, now=in_utc(now))
        self._admission.revoke_token(token)
        return ended

    def tokens_of(self, agent: AgentId) -> list[BearerToken]:
        """Return every bearer token ever given to an agent, oldest first."""
        with self._database.read() as connection:
            return bearer.tokens_of(connection, agent)

    def grant_gateway(
        self,
        agent: AgentId,
        admits: Admits,
        labels: Mapping[str, str],
        actor: str,
        now: datetime,
        *,
        require: RequireRole = _any_role,
    ) -> Gateway:
        """Give an agent the role of a gateway, or change what it says. Raises RefusedError; as `require`."""
        role = Gateway(agent, admits, labels, in_utc(now), actor)
        with self._database.write() as connection:
            require(gateways.role_of(connection, agent))
            gateways.grant(connection, role)
        self._admission.refresh(agent)
        return role

    def revoke_gateway(
        self, agent: AgentId, actor: str, now: datetime, *, require: RequireRole = _any_role
    ) -> tuple[Passage, ...]:
        """Take the role away; returns all that ended. The caller MUST cut it.

        Raises:
            UnknownError: the agent never was a gateway. And as `require`.
        """
        with self._database.write() as connection:
            require(gateways.role_of(connection, agent))
            gone = gateways.end_role(connection, agent, actor=actor, now=in_utc(now))
            if gone is None:
                # Said already; whoever could not cut then may do it now.
                gone = tuple(gateways.ended_passages(connection, agent))
                if not gateways.was_gateway(connection, agent):
                    raise UnknownError(f"agent {agent} is no gateway")
        self._admission.forget(gone)
        self._admission.refresh(agent)
        return gone

    def admit(
        self, gateway: AgentId, agent: AgentId, labels: Mapping[str, str], actor: str, now: datetime
    ) -> Passage:
        """Let a gateway speak for an agent, by an operator's word. Raises RefusedError."""
        return self._passed(
            agent,
            lambda connection: passages.admit(
                connection, gateway, agent, labels, actor=actor, now=in_utc(now)
            ),
        )

    def admit_new(self, gateway: AgentId, agent: AgentId, now: datetime) -> Passage:
        """Let a gateway speak for an agent at first sight. Raises NotAdmittedError: `passages.admit_new`."""
        if not self._admission.may_bring(gateway, agent):
            raise NotAdmittedError(f"agent {agent} was not admitted through gateway {gateway}")
        return self._passed(
            agent, lambda connection: passages.admit_new(connection, gateway, agent, in_utc(now))
        )

    def ended_passages(self, agent: AgentId) -> tuple[Passage, ...]:
        """Return the passages that ended for an agent, or through it; what is left of them is to be cut."""
        with self._database.read() as connection:
            return tuple(gateways.ended_passages(connection, agent))

    def roles(self) -> list[tuple[Gateway, list[Passage]]]:
        """Return every gateway with those it may speak for."""
        with self._database.read() as connection:
            return [
                (role, gateways.passages_through(connection, role.agent))
                for role in gateways.all_roles(connection)
            ]

    def behind(self, gateway: AgentId) -> list[Passage]:
        """Return those that a gateway may speak for."""
        with self._database.read() as connection:
            return gateways.passages_through(connection, gateway)

    def approve(self, agent: AgentId, key: str, actor: str, now: datetime) -> WaitingRequest:
        """Approve the certificate request that waits, by the name of its key. Raises RefusedError."""
        with self._database.write() as connection:
            return waiting.approve(connection, agent, key, actor=actor, now=in_utc(now))

    def requests(self) -> list[WaitingRequest]:
        """Return the certificate requests that wait, oldest first."""
        with self._database.read() as connection:
            return waiting.all_waiting(connection)

    def _passed(self, agent: AgentId, put: Callable[[Connection], Passage]) -> Passage:
        with self._database.write() as connection:
            passage = put(connection)
        self._admission.refresh(agent)
        return passage


def _let_in(
    connection: Connection, agent: AgentId, labels: Mapping[str, str], *, new: bool, actor: str, now: datetime
) -> None:
    """Make the agent one that may hold a token. Raises RefusedError."""
    before = ledger.enrollment_of(connection, agent)
    if before is None and not new:
        raise RefusedError(f"agent {agent} never enrolled; a token for a new agent is asked for as one")
    if before is not None and (new or labels):
        raise RefusedError(
            f"agent {agent} {gateways.standing_said(before)}; only a new one is given labels here"
        )
    if before is not None and before.standing in {Standing.REVOKED, Standing.BANNED}:
        raise RefusedError(f"agent {agent} {gateways.standing_said(before)}; an operator must reset it first")
    if before is not None and before.standing is Standing.ENROLLED:
        return
    given = labels if before is None else before.labels
    ledger.put_enrollment(
        connection, Enrollment(agent, gateways.BY_OPERATOR, given, now, Standing.ENROLLED, now)
    )
    detail: dict[str, journal.JSON] = {"serial": None, "token": None, "labels": dict(given)}
    who = f"agent:{agent}"
    journal.append(connection, kind="agent.enrolled", actor=actor, subject=who, detail=detail, at=now)
