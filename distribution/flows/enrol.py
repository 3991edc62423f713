"""The story of a credential: asked for by an agent, issued by the authority, used, and the old one ended.

Step 1  A stranger shows an enrollment token, a known agent its certificate; both send a certificate request,
        and the key never leaves the host.
Step 2  The authority decides, records, signs (`keys.authority`). What it refuses the agent is told.
Step 3  The agent gets complete connection settings with its certificate, and comes again with it.
Step 4  Its first message over the next certificate makes that the current one; connections that still use the
        old one are cut.

Everything here blocks on I/O and belongs into the worker thread.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from distribution.domain.connections import Credential
from distribution.flows.ports import Connections
from keys.certificate import BearerId, CredentialId, Issued, Passage, Serial
from keys.errors import NotAdmittedError, RefusedError
from keys.identity import AgentId


class Certifier(Protocol):
    """The part of `keys.authority.Authority` that this story needs."""

    def enroll(self, csr_pem: bytes, token: str, instance_uid: AgentId, now: datetime) -> Issued:
        """Make an agent out of a request and a token. Raises RefusedError."""
        ...

    def enroll_through(self, csr_pem: bytes, passage: Passage, now: datetime) -> Issued | None:
        """Give an agent behind a gateway a certificate; None while its request waits. Raises RefusedError."""
        ...

    def renew(self, csr_pem: bytes, presented: Serial, instance_uid: AgentId, now: datetime) -> Issued:
        """Make the agent's next certificate. Raises RefusedError."""
        ...

    def promote(self, presented: Serial, now: datetime) -> tuple[Serial, ...]:
        """Make a next credential the current one; return the serials that ended. Raises NotAdmittedError."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """What a peer presented: a verified client certificate, or a token, or nothing.

    A certificate counts before any token. `claimed` is whom the certificate names, None where it names no
    agent of ours; where a gateway speaks for an agent, the certificate is the gateway's. `remote` is its
    address.
    """

    serial: Serial | None = None
    claimed: AgentId | None = None
    token: str | None = field(default=None, repr=False)
    """An enrollment token."""
    remote: str = ""
    presented: str | None = field(default=None, repr=False)
    """A bearer token, `<id>.<secret>`, that nobody has looked at yet."""
    bearer: BearerId | None = None
    """The bearer token that was proven."""
    passage: Passage | None = None
    """For whom the gateway speaks that presented the certificate; None for the peer itself."""
    polls: bool = False
    """Whether it speaks plain HTTP."""

    @property
    def credential(self) -> CredentialId | None:
        """What lets it in, and cuts it; None while nothing does."""
        return self.passage or self.serial or self.bearer

    @property
    def enrolls_by(self) -> str | None:
        """The token of a stranger who comes to enroll; None for whoever has a credential."""
        return None if self.credential is not None else self.token or ""


def certify(
    authority: Certifier,
    introduce: Callable[[AgentId], None],
    caller: Caller,
    agent: AgentId,
    csr: bytes,
    *,
    heartbeat_seconds: int,
    number: int,
    now: datetime,
) -> Credential | None:
    """Answer a certificate request; None while it waits for an operator's word.

    Args:
        authority: decides and signs.
        introduce: makes a newly enrolled agent known to the fleet.
        caller: what the peer presented; the certificate counts before the token.
        agent: of whom the message says it is.
        csr: the request, PEM.
        heartbeat_seconds: how often the agent is to report.
        number: another one for each answer.
        now: aware UTC.

    Raises:
        RefusedError: the authority refuses; its message is for the agent.
    """
    if caller.passage is not None:
        given = authority.enroll_through(csr, caller.passage, now)
        return None if given is None else Credential(given.chain_pem, heartbeat_seconds, now, number)
    if caller.bearer is not None:
        raise RefusedError(f"agent {agent} has a bearer token; an operator certifies requests of such agents")
    if caller.serial is not None:
        issued = authority.renew(csr, caller.serial, agent, now)
    elif caller.token is not None:
        issued = authority.enroll(csr, caller.token, agent, now)
        introduce(agent)
    else:
        raise NotAdmittedError(
            f"agent {agent} presented neither a client certificate nor an enrollment token"
        )
    return Credential(issued.chain_pem, heartbeat_seconds, now, number)


def promote(authority: Certifier, connections: Connections, serial: Serial, now: datetime) -> int:
    """Make the credential that was just used the current one; return how many connections were cut.

    Raises:
        NotAdmittedError: it is not live any more.
    """
    ended = authority.promote(serial, now)
    return connections.cut(ended, f"its certificate was superseded by serial {serial}") if ended else 0
