"""The story of what an operator grants: a certificate for a file, a bearer token, the role of a gateway.

Step 1  The authority, or `keys.grants`, records and journals it in one transaction; admission knows it then.
Step 2  What ended by it is cut: nobody speaks for an agent any more that has a credential of its own.
Step 3  The fleet learns of a new agent, so that it is listed before it was ever heard.

Secrets leave the server once, in the answer to the one who made them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from distribution.domain.states import require_state, state_of
from distribution.flows.ports import Connections
from keys.bearer import BearerToken
from keys.certificate import BearerId, CredentialId, Issued, Passage
from keys.gateways import Admits, Gateway
from keys.grants import Grants, RequireRole
from keys.identity import AgentId

Introduce = Callable[[AgentId], None]
"""Makes an agent known to the fleet."""


class Orders(Protocol):
    """The part of `keys.authority.Authority` that an operator's order needs."""

    def certify(
        self, csr_pem: bytes, agent: AgentId | None, labels: Mapping[str, str], actor: str, now: datetime
    ) -> Issued:
        """Sign a request by an operator's order. Raises RefusedError."""
        ...


@dataclass(frozen=True, slots=True)
class NewBearer:
    """A bearer token that was just made; nobody can show its secret again."""

    token: BearerToken
    secret: str

    @property
    def presented(self) -> str:
        """What its client puts after `Authorization: Bearer`."""
        return f"{self.token.id}.{self.secret}"

    def __repr__(self) -> str:
        return f"NewBearer(token={self.token!r}, secret=<hidden>)"


@dataclass(frozen=True, slots=True)
class Granting:
    """The parts that a grant touches."""

    grants: Grants
    authority: Orders
    connections: Connections
    introduce: Introduce


def certify(
    parts: Granting,
    csr_pem: bytes,
    agent: AgentId | None,
    labels: Mapping[str, str],
    *,
    actor: str,
    now: datetime,
) -> Issued:
    """Give an agent a certificate for a request in a file. Raises RefusedError: `Authority.certify`."""
    issued = parts.authority.certify(csr_pem, agent, labels, actor, now)
    _cut_passages(parts, parts.grants.ended_passages(issued.agent), issued.agent)
    parts.introduce(issued.agent)
    return issued


def create_token(
    parts: Granting,
    agent: AgentId,
    *,
    token: BearerId,
    secret: str,
    new: bool,
    labels: Mapping[str, str],
    expires_at: datetime,
    actor: str,
    now: datetime,
) -> NewBearer:
    """Give an agent a bearer token. Raises RefusedError: `Grants.create_token`."""
    made, ended = parts.grants.create_token(
        agent,
        token=token,
        secret=secret,
        new=new,
        labels=labels,
        expires_at=expires_at,
        actor=actor,
        now=now,
    )
    _cut_passages(parts, ended, agent)
    parts.introduce(agent)
    return NewBearer(made, secret)


def revoke_token(parts: Granting, token: BearerId, *, actor: str, now: datetime) -> tuple[BearerToken, int]:
    """End one bearer token and cut its connections; return it, and how many were cut.

    Raises:
        UnknownError: there is no such token.
    """
    ended = parts.grants.revoke_token(token, actor, now)
    return ended, parts.connections.cut([token], f"bearer token {token} was revoked")


def admit(
    parts: Granting, gateway: AgentId, agent: AgentId, labels: Mapping[str, str], *, actor: str, now: datetime
) -> Passage:
    """Let a gateway speak for an agent. Raises RefusedError: `keys.passages.admit`."""
    passage = parts.grants.admit(gateway, agent, labels, actor, now)
    parts.introduce(agent)
    return passage


def grant_gateway(
    parts: Granting,
    gateway: AgentId,
    admits: Admits,
    labels: Mapping[str, str],
    *,
    actor: str,
    now: datetime,
    at_state: str | None = None,
) -> Gateway:
    """Give an agent the role of a gateway, or change what it says; it is told at once.

    Raises:
        RefusedError: `keys.gateways.grant`. ConflictError: the role is at another state than `at_state`.
    """
    require = _at(gateway, at_state)
    role = parts.grants.grant_gateway(gateway, admits, labels, actor, now, require=require)
    parts.connections.wake([gateway])
    return role


def revoke_gateway(
    parts: Granting, gateway: AgentId, *, actor: str, now: datetime, at_state: str | None = None
) -> tuple[Passage, ...]:
    """Take the role away and end every conversation through the gateway; its own goes on.

    Raises:
        UnknownError: the agent never was a gateway. ConflictError: as `grant_gateway`.
    """
    gone = parts.grants.revoke_gateway(gateway, actor, now, require=_at(gateway, at_state))
    parts.connections.cut(gone, f"gateway {gateway} lost its role")
    return gone


def role_state(role: Gateway) -> str:
    """Return the state of a gateway's role: whom it admits and what it labels them with."""
    return state_of("gateway", role.admits.value, dict(role.labels))


def _at(gateway: AgentId, expected: str | None) -> RequireRole:
    def require(present: Gateway | None) -> None:
        found = None if present is None else role_state(present)
        said = "" if present is None else f"admits {present.admits.value} by {present.granted_by}"
        require_state(f"gateway {gateway}", expected, found, said)

    return require


def _cut_passages(parts: Granting, ended: tuple[CredentialId, ...], agent: AgentId) -> None:
    if ended:
        parts.connections.cut(ended, f"agent {agent} has a credential of its own")
