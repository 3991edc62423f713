"""Who is let in: a connection is admitted because what it presents is its agent's own, now, in the ledger.

Rules:

1. Admission is positive. An unknown serial, a superseded one, a revoked one and one that we never finished
   are refused alike, because none of them is in this map; so with bearer tokens, and with agents that a
   gateway speaks for. No list of the forbidden exists to be stale.
2. The map is a copy of the live rows, read from them at the start and again, one agent at a time, after each
   change. Nothing is ever put into it that was not read from there.
3. Reading and putting in is one step under a lock, so a slow reader cannot bring back what was revoked in
   between. `admit` takes no lock and does no I/O: it is asked for every message. What stays live across a
   change is in the map at every moment of it.
4. A credential is refused from the second it ends, also on a connection that is already open.
5. A gateway speaks for an agent only while it holds its role and its own credential, and the agent has none.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from keys import bearer, gateways, ledger
from keys.bearer import BearerToken
from keys.certificate import BearerId, CredentialId, Passage, Serial, Slot, kind_of
from keys.errors import NotAdmittedError
from keys.gateways import Admits, Gateway
from keys.identity import AgentId
from keys.ledger import Credential, State
from storage.database import Database

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Why a connection is let in. `not_after` is aware UTC."""

    agent: AgentId
    slot: Slot
    credential: CredentialId
    not_after: datetime


class Admission:
    """The live credentials of the ledger, in memory. Safe to use from any thread."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Read the ledger whole. `clock` returns aware UTC. Raises: as `Database.read`."""
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._live: dict[CredentialId, Admitted] = {}
        self._held: dict[AgentId, tuple[CredentialId, ...]] = {}
        self._secrets: dict[BearerId, bytes] = {}
        self._labels: dict[AgentId, Mapping[str, str]] = {}
        self.labelled = 0
        """How often `labels_of` any agent changed."""
        self._gateways: dict[AgentId, Gateway] = {}
        with self._lock, database.read() as connection:
            self._read_all(connection)

    def admit(self, credential: CredentialId, instance_uid: AgentId | None = None) -> Admitted:
        """Return whose credential this is; with `instance_uid`, also that the message is of that agent.

        For what a gateway brings, `admit_through` MUST be asked instead.

        Raises:
            NotAdmittedError: it is not live in the ledger, its time is over, or it is another agent's.
        """
        admitted = self._live.get(credential)
        if admitted is None:
            raise NotAdmittedError(
                f"{kind_of(credential)} {credential} is not the current or next one of any agent"
            )
        now = self._clock()
        if now >= admitted.not_after:
            raise NotAdmittedError(
                f"{kind_of(credential)} {credential} of agent {admitted.agent} ended at "
                f"{admitted.not_after.isoformat()}, now is {now.isoformat(timespec='seconds')}"
            )
        if instance_uid is not None and instance_uid != admitted.agent:
            raise NotAdmittedError(
                f"{kind_of(credential)} {credential} belongs to agent {admitted.agent}, "
                f"the message is of agent {instance_uid}"
            )
        return admitted

    def holds(self, admitted: Admitted, now: datetime) -> bool:
        """Say whether an earlier admission holds as it was given, at `now` (aware UTC).

        As good as `admit` while nothing changed; where it says no, `admit` says why, or admits anew.
        """
        return self._live.get(admitted.credential) is admitted and now < admitted.not_after

    def admit_through(self, passage: Passage, presented: CredentialId) -> Admitted:
        """Return why a gateway that presented this may speak for the passage's agent.

        Raises:
            NotAdmittedError: the gateway is not let in itself, has no role, or may not speak for this agent.
        """
        gateway = self.admit(presented, passage.gateway).agent
        if gateway not in self._gateways:
            raise NotAdmittedError(f"agent {gateway} is no gateway, the message is of agent {passage.agent}")
        admitted = self._live.get(passage)
        if admitted is None:
            raise NotAdmittedError(
                f"agent {passage.agent} is not one that gateway {passage.gateway} may speak for"
            )
        return admitted

    def prove(self, presented: str) -> tuple[BearerId, Admitted]:
        """Return which bearer token `<id>.<secret>` this is, and whose.

        It costs the same for one that does not exist.

        Raises:
            NotAdmittedError: it is none of ours (in the same words, whatever is wrong with it), or its time
                is over.
        """
        token = bearer.prove(presented, self._secrets)
        return token, self.admit(token)

    def labels_of(self, agent: AgentId) -> Mapping[str, str]:
        """Return the labels that `agent` was let in with; none if it never was."""
        return self._labels.get(agent, _NONE)

    def serials_of(self, agent: AgentId) -> tuple[Serial, ...]:
        """Return the agent's live serials, at most two."""
        return tuple(held for held in self._held.get(agent, ()) if isinstance(held, Serial))

    def is_certified(self, agent: AgentId) -> bool:
        """Say whether the agent holds a live certificate."""
        return any(isinstance(held, Serial) for held in self._held.get(agent, ()))

    def held_by(self, agent: AgentId) -> tuple[CredentialId, ...]:
        """Return all that lets the agent in now."""
        return self._held.get(agent, ())

    def entries_of(self, agent: AgentId) -> tuple[Admitted, ...]:
        """Return why the agent would be let in, also where the time of that is over."""
        found = (self._live.get(held) for held in self._held.get(agent, ()))
        return tuple(admitted for admitted in found if admitted is not None)

    @property
    def any_gateway(self) -> bool:
        """Whether any agent has the role."""
        return bool(self._gateways)

    def gateway(self, agent: AgentId) -> Gateway | None:
        """Return the agent's role, if it is a gateway."""
        return self._gateways.get(agent)

    def speaker_for(self, agent: AgentId) -> AgentId | None:
        """Return the gateway that speaks for the agent, None where the agent speaks for itself."""
        held = self._held.get(agent, ())
        return next((each.gateway for each in held if isinstance(each, Passage)), None)

    def may_bring(self, gateway: AgentId, agent: AgentId) -> bool:
        """Say whether it is worth asking the ledger to admit an unknown agent through this gateway."""
        role = self._gateways.get(gateway)
        return role is not None and role.admits is Admits.NEW and Passage(agent, gateway) not in self._live

    def refresh(self, agent: AgentId) -> None:
        """Read this agent's rows again. Whoever changed the ledger MUST call it after the commit.

        Raises: as `Database.read`; the agent is then as it was before.
        """
        with self._lock:
            with self._database.read() as connection:
                enrollment = ledger.enrollment_of(connection, agent)
                found = [
                    held for held in ledger.open_credentials(connection, agent) if held.state is State.LIVE
                ]
                tokens = bearer.live_of(connection, agent)
                passage = gateways.passage_of(connection, agent)
                role = gateways.role_of(connection, agent)
            if enrollment is not None and enrollment.labels != self._labels.get(agent):
                self._labels[agent] = enrollment.labels
                self.labelled += 1
            self._replace(agent, _own(found, tokens, passage), tokens)
            if role is None:
                self._gateways.pop(agent, None)
            else:
                self._gateways[agent] = role

    def read_again(self) -> None:
        """Read the whole ledger again: nobody knows what was committed. Raises: as `Database.read`."""
        with self._lock, self._database.read() as connection:
            self._read_all(connection)
            self.labelled += 1

    def drop(self, agent: AgentId) -> None:
        """Let the agent in no more, nor anybody through it, without asking the database: it cannot fail."""
        with self._lock:
            self._replace(agent, {}, ())
            self._gateways.pop(agent, None)

    def revoke_token(self, token: BearerId) -> None:
        """Let nobody in by this bearer token any more, without asking the database: it cannot fail."""
        with self._lock:
            admitted = self._live.pop(token, None)
            self._secrets.pop(token, None)
            if admitted is not None:
                left = tuple(held for held in self._held[admitted.agent] if held != token)
                self._held[admitted.agent] = left

    def forget(self, passages: Iterable[Passage]) -> None:
        """Let a gateway speak for these agents no more, without asking the database: it cannot fail."""
        with self._lock:
            for passage in passages:
                if self._live.pop(passage, None) is not None:
                    del self._held[passage.agent]  # a live one is all that its agent holds

    def _read_all(self, connection: Connection) -> None:
        self._labels.update({one.agent: one.labels for one in ledger.all_enrollments(connection)})
        found: dict[AgentId, tuple[list[Credential], list[BearerToken]]] = {}
        for credential in ledger.live_credentials(connection):
            found.setdefault(credential.agent, ([], []))[0].append(credential)
        for token in bearer.all_live(connection):
            found.setdefault(token.agent, ([], []))[1].append(token)
        behind = {passage.agent: passage for passage in gateways.all_passages(connection)}
        for agent in self._held.keys() | found.keys() | behind.keys():
            serials, tokens = found.get(agent, ([], []))
            self._replace(agent, _own(serials, tokens, behind.get(agent)), tokens)
        self._gateways = {role.agent: role for role in gateways.all_roles(connection)}

    def _replace(
        self, agent: AgentId, live: Mapping[CredentialId, Admitted], tokens: Iterable[BearerToken]
    ) -> None:
        self._secrets.update((token.id, token.secret_sha256) for token in tokens)
        self._live.update(live)
        for held in self._held.pop(agent, ()):
            if held not in live:
                self._live.pop(held, None)
                if isinstance(held, BearerId):
                    self._secrets.pop(held, None)
        if live:
            self._held[agent] = tuple(live)


def _own(
    serials: Iterable[Credential], tokens: Iterable[BearerToken], passage: Passage | None
) -> dict[CredentialId, Admitted]:
    """Return what lets one agent in; that a gateway speaks for it only where nothing else does."""
    live: dict[CredentialId, Admitted] = {
        held.serial: Admitted(held.agent, held.slot, held.serial, held.not_after) for held in serials
    }
    for token in tokens:
        live[token.id] = Admitted(token.agent, Slot.CURRENT, token.id, token.expires_at)
    if passage is not None and not live:
        live[passage] = Admitted(passage.agent, Slot.CURRENT, passage, _NEVER)
    return live
