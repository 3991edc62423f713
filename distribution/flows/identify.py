"""Step 1 of every message: who speaks, whether he may, and under which instance uid.

Rules:

1. A client certificate counts before any token. A message over it is of its agent and of no other.
2. A bearer token is one agent, whatever uid its client makes up: the message is that agent's. The client is
   told the agent's uid, once a connection and then rarely, and is answered under the one it uses.
3. A gateway speaks for the agents that were admitted through it, each in a conversation of its own.
4. A stranger names himself once, and again only as he was told to.

Memory only; it belongs to the event loop.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from distribution.domain.agent import Report
from distribution.flows.enrol import Caller
from distribution.protocol.offers import Reply
from keys.admission import Admission, Admitted
from keys.certificate import Passage, Slot
from keys.errors import NotAdmittedError
from keys.identity import AgentId

TELL_UID_EVERY: Final = timedelta(hours=1)
"""How often a client that goes on under a uid of its own is told its agent's."""


class Name:
    """Under which uid a peer speaks, where it is not simply its agent's."""

    __slots__ = ("alias", "ordered", "told_at")

    def __init__(self) -> None:
        self.alias: UUID | None = None
        """What the holder of a bearer token calls itself."""
        self.told_at: datetime | None = None
        """When it was last told its agent's uid (aware UTC)."""
        self.ordered: UUID | None = None
        """The uid that a stranger was told to take."""


class Identities:
    """Who may speak. Everything is asked of admission, nothing is decided twice."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def enter(self, caller: Caller) -> tuple[Caller, Admitted | None]:
        """Return the caller as far as it is known, and why it is let in; None for a stranger who enrolls.

        Raises:
            NotAdmittedError: it presented nothing that lets it in; its message may be shown.
        """
        if caller.serial is not None:
            return caller, self._by_certificate(caller)
        if caller.bearer is not None:
            return caller, self._admission.admit(caller.bearer)
        if caller.presented is not None:
            token, admitted = self._admission.prove(caller.presented)
            return replace(caller, bearer=token, claimed=admitted.agent), admitted
        if caller.token is None:
            raise NotAdmittedError("neither a client certificate nor an enrollment token was presented")
        return caller, None

    def check(self, caller: Caller) -> None:
        """Check again what let a caller in; asked for every message. Raises NotAdmittedError."""
        if caller.passage is not None and caller.serial is not None:
            self._admission.admit_through(caller.passage, caller.serial)
        elif caller.serial is not None:
            self._admission.admit(caller.serial)
        elif caller.bearer is not None:
            self._admission.admit(caller.bearer)

    def itself(self, caller: Caller) -> Admitted | None:
        """Return why an agent is let in by its own certificate; None for every other peer.

        Raises:
            NotAdmittedError: it is not, any more.
        """
        if caller.serial is None or caller.passage is not None:
            return None
        return self._admission.admit(caller.serial)

    def is_gateway(self, caller: Caller) -> bool:
        """Whether the peer may speak for others at all: by its certificate, and by no token."""
        if caller.serial is None or caller.claimed is None or caller.passage is not None:
            return False
        return self._admission.gateway(caller.claimed) is not None

    def is_next(self, caller: Caller) -> bool:
        """Whether the peer's certificate is its next one, still to be made the current by its first use."""
        if caller.serial is None:
            return False
        return self._admission.admit(caller.serial).slot is Slot.NEXT

    def behind(self, gateway: Caller, agent: AgentId) -> Caller:
        """Return the caller that a gateway speaks for. Raises NotAdmittedError if it may not."""
        if gateway.claimed is None:
            raise NotAdmittedError(f"a peer that is no agent brought agent {agent}")
        caller = replace(gateway, passage=Passage(agent, gateway.claimed))
        self.check(caller)
        return caller

    def may_bring(self, gateway: Caller, agent: AgentId) -> bool:
        """Whether an agent that nobody admitted may be admitted at first sight."""
        return gateway.claimed is not None and self._admission.may_bring(gateway.claimed, agent)

    def _by_certificate(self, caller: Caller) -> Admitted:
        if caller.serial is None:
            raise NotAdmittedError("no client certificate was presented")
        try:
            return self._admission.admit(caller.serial, caller.claimed)
        except NotAdmittedError as exc:
            # Of an unknown serial admission cannot say whose it was; the certificate does.
            raise NotAdmittedError(f"agent {caller.claimed} is not admitted: {exc}") from exc


def own(report: Report, name: Name, agent: UUID) -> Report:
    """Return a token holder's message as its agent's own; under which uid it came is noted."""
    name.alias = report.uid
    return replace(report, uid=agent)


def addressed(reply: Reply, name: Name, agent: UUID, now: datetime) -> Reply:
    """Return the reply under the uid that the peer uses, with its agent's where it is to be told that."""
    if name.alias is None:
        return reply
    told = name.told_at
    due = told is None or not told <= now < told + TELL_UID_EVERY
    if due and not reply.restart:
        name.told_at = now
        return replace(reply, uid=name.alias, new_uid=agent)
    return replace(reply, uid=name.alias)
