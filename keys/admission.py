"""Who is let in: a connection is admitted because its serial is its agent's current or next in the ledger.

Rules:

1. Admission is positive. An unknown serial, a superseded one, a revoked one and one that we never finished
   are refused alike, because none of them is in this map; no list of the forbidden exists to be stale.
2. The map is a copy of the ledger's live rows, read from it at the start and again, one agent at a time,
   after each change. Nothing is ever put into it that was not read from the ledger.
3. Reading and putting in is one step under a lock, so a slow reader cannot bring back what was revoked in
   between. `admit` takes no lock and does no I/O: it is asked for every message. What stays live across a
   change is in the map at every moment of it.
4. A credential is refused from the second its certificate ends, also on a connection that is already open.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from keys.certificate import Serial, Slot
from keys.errors import NotAdmittedError
from keys.identity import AgentId
from keys.ledger import (
    Credential,
    State,
    all_enrollments,
    enrollment_of,
    live_credentials,
    open_credentials,
)
from storage.database import Database

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Admitted:
    """Why a connection is let in. `not_after` is aware UTC."""

    agent: AgentId
    slot: Slot
    serial: Serial
    not_after: datetime


class Admission:
    """The live serials of the ledger, in memory. Safe to use from any thread."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Read the ledger whole. `clock` returns aware UTC. Raises: as `Database.read`."""
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._live: dict[Serial, Admitted] = {}
        self._serials: dict[AgentId, tuple[Serial, ...]] = {}
        self._labels: dict[AgentId, Mapping[str, str]] = {}
        with self._lock, database.read() as connection:
            for enrollment in all_enrollments(connection):
                self._labels[enrollment.agent] = enrollment.labels
            for credential in live_credentials(connection):
                serials = self._serials.get(credential.agent, ())
                self._serials[credential.agent] = (*serials, credential.serial)
                self._live[credential.serial] = _admitted(credential)

    def admit(self, serial: Serial, instance_uid: AgentId | None = None) -> Admitted:
        """Return whose credential this is; with `instance_uid`, also that the message is of that agent.

        Raises:
            NotAdmittedError: it is not live in the ledger, its time is over, or it is another agent's.
        """
        admitted = self._live.get(serial)
        if admitted is None:
            raise NotAdmittedError(f"serial {serial} is not the current or next one of any agent")
        now = self._clock()
        if now >= admitted.not_after:
            raise NotAdmittedError(
                f"serial {serial} of agent {admitted.agent} ended at {admitted.not_after.isoformat()}, "
                f"now is {now.isoformat(timespec='seconds')}"
            )
        if instance_uid is not None and instance_uid != admitted.agent:
            raise NotAdmittedError(
                f"serial {serial} belongs to agent {admitted.agent}, the message is of agent {instance_uid}"
            )
        return admitted

    def labels_of(self, agent: AgentId) -> Mapping[str, str]:
        """Return the labels of the token that `agent` enrolled with; none if it never enrolled."""
        return self._labels.get(agent, _NONE)

    def serials_of(self, agent: AgentId) -> tuple[Serial, ...]:
        """Return the agent's live serials, at most two."""
        return self._serials.get(agent, ())

    def refresh(self, agent: AgentId) -> None:
        """Read this agent's rows again. Whoever changed the ledger MUST call it after the commit.

        Raises: as `Database.read`; the agent is then as it was before.
        """
        with self._lock:
            with self._database.read() as connection:
                enrollment = enrollment_of(connection, agent)
                found = open_credentials(connection, agent)
            if enrollment is not None:
                self._labels[agent] = enrollment.labels
            live = {held.serial: _admitted(held) for held in found if held.state is State.LIVE}
            self._replace(agent, live)

    def drop(self, agent: AgentId) -> None:
        """Let the agent in no more, without asking the database: it cannot fail."""
        with self._lock:
            self._replace(agent, {})

    def _replace(self, agent: AgentId, live: Mapping[Serial, Admitted]) -> None:
        self._live.update(live)
        for serial in self._serials.pop(agent, ()):
            if serial not in live:
                self._live.pop(serial, None)
        if live:
            self._serials[agent] = tuple(live)


def _admitted(credential: Credential) -> Admitted:
    return Admitted(credential.agent, credential.slot, credential.serial, credential.not_after)
