"""Who is to run which configuration: every step of each assignment, the last of which counts; and variables.

Rules: a step is written once and then only ceases to count; so every earlier one is there to go back to. The
value of an agent's variable carries the number of its change, also where it was taken away, so that what
changed can be read without the rest. Values may be secrets: they lie here sealed, and are opened for
rendering and for what is to be hidden, never for lists. One that is replaced or taken away stays, sealed, in
`fleet.earlier_values`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    union_all,
    update,
)

from distribution.domain.config_choice import Assignment
from distribution.domain.states import state_of
from distribution.errors import ConflictError
from distribution.fleet import earlier_values
from keys.identity import AgentId
from keys.sealing import Seal
from storage.database import UtcDateTime, metadata

assignments: Final = Table(
    "config_assignments",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("config", String(63), nullable=False),
    Column("number", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("counts", Boolean, nullable=False, index=True),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", String(200), nullable=False),
)

values: Final = Table(
    "config_values",
    metadata,
    Column("uid", String(36), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("value", Text, nullable=True),
    Column("revision", Integer, nullable=False, index=True),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", String(200), nullable=False),
)

_EVER_SET: Final = union_all(
    select(values.c.value).where(values.c.uid == bindparam("agent"), values.c.value.is_not(None)),
    earlier_values.OF_AGENT,
)
"""Made once, for it is asked for every report of an effective configuration."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an assignment, and who made it. `at` is aware UTC."""

    assignment: Assignment
    number: int
    """From one on, of its name."""
    counts: bool
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class SetValue:
    """A variable of one agent without its value, and who set it. `at` is aware UTC."""

    name: str
    at: datetime
    by: str


def put(connection: Connection, assignment: Assignment, *, actor: str, now: datetime) -> Step:
    """Write this as the assignment's next step, the one that counts."""
    remove(connection, assignment.name)
    last = connection.scalar(
        select(func.max(assignments.c.step)).where(assignments.c.name == assignment.name)
    )
    step = Step(assignment, (last or 0) + 1, counts=True, at=now, by=actor)
    connection.execute(
        insert(assignments).values(
            name=assignment.name,
            step=step.number,
            config=assignment.config,
            number=assignment.number,
            priority=assignment.priority,
            labels=dict(assignment.labels),
            attributes=dict(assignment.attributes),
            counts=True,
            updated_at=now,
            updated_by=actor,
        )
    )
    return step


def remove(connection: Connection, name: str) -> None:
    """Let none of the assignment's steps count."""
    connection.execute(
        update(assignments)
        .where(assignments.c.name == name, assignments.c.counts.is_(True))
        .values(counts=False)
    )


def counting(connection: Connection) -> tuple[Step, ...]:
    """Return the assignments that count, by name."""
    query = select(assignments).where(assignments.c.counts.is_(True)).order_by(assignments.c.name)
    return tuple(_step(row) for row in connection.execute(query).mappings())


def ever_named(connection: Connection) -> frozenset[tuple[str, int]]:
    """Return every version that any step ever named, counting or not: name and number."""
    rows = connection.execute(select(assignments.c.config, assignments.c.number).distinct())
    return frozenset((config, number) for config, number in rows)


def history(connection: Connection, name: str) -> tuple[Step, ...]:
    """Return every step of an assignment, the first one first; none if it never was."""
    query = select(assignments).where(assignments.c.name == name).order_by(assignments.c.step)
    return tuple(_step(row) for row in connection.execute(query).mappings())


def require_at(connection: Connection, name: str, number: int) -> None:
    """Check that an assignment is as its caller saw it: at this step; 0 where there was none.

    Raises:
        ConflictError: somebody changed it since.
    """
    counts = next((step for step in history(connection, name) if step.counts), None)
    present = 0 if counts is None else counts.number
    if present == number:
        return
    found = "is not there" if counts is None else f"is at step {present} ({counts.assignment} by {counts.by})"
    wanted = f"expected at step {number}" if number else "expected to be new"
    raise ConflictError(f"assignment {name!r} {found}, {wanted}: somebody changed it meanwhile")


def set_values(
    connection: Connection,
    agent: AgentId,
    given: Mapping[str, str | None],
    *,
    seal: Seal,
    actor: str,
    now: datetime,
) -> None:
    """Set these variables of an agent; None takes one away, and what is not named stays.

    What was another value before is kept in `fleet.earlier_values`.
    """
    present = select(values.c.name, values.c.value).where(
        values.c.uid == str(agent), values.c.name.in_(list(given)), values.c.value.is_not(None)
    )
    replaced = {
        name: sealed
        for name, sealed in connection.execute(present)
        if given[name] is None or earlier_values.opened(sealed, seal) != given[name]
    }
    sealed = {name: None if value is None else seal.seal(value) for name, value in given.items()}
    revision = _put_values(connection, agent, sealed, actor=actor, now=now)
    earlier_values.keep(connection, agent, replaced, revision=revision, seal=seal)


def take_values(connection: Connection, agent: AgentId, *, actor: str, now: datetime) -> tuple[str, ...]:
    """Take every variable of an agent away, and what they were before; return their names."""
    names = tuple(one.name for one in names_of(connection, agent))
    _put_values(connection, agent, dict.fromkeys(names), actor=actor, now=now)
    earlier_values.remove(connection, agent)
    return names


def ever_set(connection: Connection, agent: AgentId) -> tuple[str, ...]:
    """Return the values that an agent's variables have and had, sealed."""
    return tuple(connection.scalars(_EVER_SET, {"agent": str(agent)}))


def values_after(connection: Connection, revision: int) -> tuple[int, dict[UUID, dict[str, str | None]]]:
    """Return what was set after that revision, sealed, None for what was taken away; the newest revision."""
    newest, found = revision, dict[UUID, dict[str, str | None]]()
    query = select(values.c.uid, values.c.name, values.c.value, values.c.revision)
    for uid, name, value, at in connection.execute(query.where(values.c.revision > revision)):
        found.setdefault(UUID(uid), {})[name] = value
        newest = max(newest, at)
    return newest, found


def names_of(connection: Connection, agent: AgentId) -> tuple[SetValue, ...]:
    """Return which variables an agent has, without their values."""
    query = select(values.c.name, values.c.updated_at, values.c.updated_by)
    rows = connection.execute(
        query.where(values.c.uid == str(agent), values.c.value.is_not(None)).order_by(values.c.name)
    )
    return tuple(SetValue(*row) for row in rows)


def values_state(connection: Connection, agent: AgentId) -> str:
    """Return the state of an agent's variables (`domain.states`), a new one after each change."""
    query = select(values.c.name, values.c.revision)
    rows = connection.execute(
        query.where(values.c.uid == str(agent), values.c.value.is_not(None)).order_by(values.c.name)
    )
    return state_of("values", [list(row) for row in rows])


def _put_values(
    connection: Connection, agent: AgentId, sealed: Mapping[str, str | None], *, actor: str, now: datetime
) -> int:
    """Write these and return the number of the change."""
    revision = (connection.scalar(select(func.max(values.c.revision))) or 0) + 1
    written = {"uid": str(agent), "revision": revision, "updated_at": now, "updated_by": actor}
    rows = [{**written, "name": name, "value": value} for name, value in sealed.items()]
    connection.execute(delete(values).where(values.c.uid == str(agent), values.c.name.in_(list(sealed))))
    if rows:
        connection.execute(insert(values), rows)
    return revision


def _step(row: RowMapping) -> Step:
    assignment = Assignment(
        name=row["name"],
        config=row["config"],
        number=row["number"],
        priority=row["priority"],
        labels=dict(row["labels"]),
        attributes=dict(row["attributes"]),
    )
    return Step(assignment, row["step"], counts=row["counts"], at=row["updated_at"], by=row["updated_by"])
