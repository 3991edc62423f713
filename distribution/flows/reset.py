"""The story of a reset: an agent's uid is free again, and whoever enrolls under it next is another one.

After a reset any enrollment token opens the uid, so nothing that was meant for its former holder may wait for
the next one: values that operators set may be secrets, and labels select what carries secrets.

Step 1  What operators gave the agent, its labels and its values, is taken away and journalled, and the plans
        are decided without it; before the uid is free, so that nobody is ever offered it.
Step 2  The authority takes its credentials away, in one transaction with the journal.
Step 3  As a holder of the uid it ends: what it said, and is still waiting to be written, is void. Its live
        connections are cut, and the cut is journalled.
Step 4  What it said of itself is forgotten, and what it was seen to run: by that it would be decided what the
        next one holds already.

The ledger and the journal keep their history. A crash between two steps leaves no more than there was before;
the same command again does the rest.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from distribution.fleet import agreements, config_assignments, documents, earlier_values
from distribution.fleet.registry import Registry
from distribution.flows.ports import Clock, Connections
from distribution.flows.revoke import Cut, Revoker, Stopwatch, receipt
from keys import gateways, revocation
from keys.identity import AgentId
from storage import journal
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Reset:
    """What a reset did. `notes` are sentences for the operator."""

    cut: Cut
    labels: tuple[str, ...]
    """Names of the labels that operators gave it, taken away or left."""
    values: tuple[str, ...]
    """Names of its configuration's variables, taken away or left."""
    notes: tuple[str, ...]


def reset(
    authority: Revoker,
    connections: Connections,
    database: Database,
    registry: Registry,
    agent: AgentId,
    *,
    lift_ban: bool,
    leave_given_to_next_holder: bool,
    actor: str,
    clock: Clock,
    stopwatch: Stopwatch,
) -> Reset:
    """Take an agent's credentials away, and all that it was given, so that its uid may be enrolled anew.

    Args:
        authority: whose ledger it is.
        connections: the live ones.
        database: where the journal is.
        registry: the agents.
        agent: whom.
        lift_ban: even if it is banned.
        leave_given_to_next_holder: dangerous; labels and values stay for whoever enrolls under the uid.
        actor: who resets, `operator:<name>`.
        clock: aware UTC.
        stopwatch: measures from the credentials' end to the cut.

    Raises:
        UnknownError: the agent never enrolled. RefusedError: it is banned and `lift_ban` is not set.
    """
    with database.read() as connection:
        enrollment = revocation.require_resettable(connection, agent, lift_ban=lift_ban)
        was_gateway = gateways.loses_role(connection, enrollment)
    # Step 1
    labels, values = _given(database, registry, agent)
    if (labels or values) and not leave_given_to_next_holder:
        _take(database, registry, agent, actor=actor, now=clock())
        registry.relabel([agent])
    connections.prepare()  # also where an earlier try came no further; nobody is woken: he is cut next
    # Step 2
    began = stopwatch()
    revoked = authority.reset(agent, actor, clock(), lift_ban=lift_ban)
    # Step 3
    registry.holders.end(agent)  # before the cut: what the loop had begun by then is over when that is done
    closed = connections.cut(revoked.credentials, f"agent {agent} was reset")
    cut = receipt(database, revoked, closed, stopwatch() - began, actor=actor, now=clock())
    # Step 4
    _forget(database, registry, agent, earlier_values_too=not leave_given_to_next_holder)
    given = _of_given(labels, values, left=leave_given_to_next_holder)
    return Reset(cut, labels, values, (*_of_gateway(was=was_gateway), *given))


def _given(database: Database, registry: Registry, agent: AgentId) -> tuple[tuple[str, ...], tuple[str, ...]]:
    with database.read() as connection:
        values = config_assignments.names_of(connection, agent)
    return tuple(sorted(registry.given(agent))), tuple(one.name for one in values)


def _take(database: Database, registry: Registry, agent: AgentId, *, actor: str, now: datetime) -> None:
    labels = registry.given(agent)
    with database.write() as connection:
        values = config_assignments.take_values(connection, agent, actor=actor, now=now)
        if labels:
            registry.set_labels(connection, agent, {})
        journal.append(
            connection,
            kind="agent.stripped",
            actor=actor,
            subject=f"agent:{agent}",
            detail={"labels": dict(labels), "values": list[journal.JSON](values)},
            at=now,
        )


def _forget(database: Database, registry: Registry, agent: AgentId, *, earlier_values_too: bool) -> None:
    registry.holders.settle(agent)
    registry.forget(agent)
    with database.write_relaxed() as connection:
        documents.remove(connection, agent)
        agreements.remove(connection, agent)
        if earlier_values_too:  # those of variables that it has no more
            earlier_values.remove(connection, agent)


def _of_gateway(*, was: bool) -> Iterator[str]:
    if was:
        yield (
            "it was a gateway, and the role ended with its certificate: once it is enrolled again, grant it "
            "anew and admit its agents again, if it is to be one"
        )


def _of_given(labels: Iterable[str], values: Iterable[str], *, left: bool) -> Iterator[str]:
    given = ", ".join([*(f"label {name}" for name in labels), *(f"value {name}" for name in values)])
    if given and left:
        yield f"what operators gave it is left to whoever enrolls under its uid next: {given}"
    elif given:
        yield f"what operators gave it was taken away, its next holder may be another one: {given}"
