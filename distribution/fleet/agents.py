"""The agents as rows: what each told us last, and the labels an operator gave it.

What changes often (health, connected, last seen) stands by itself, in `status`; here is what changes seldom.
Rules: both are written relaxed, because agents say it again; labels are written by an operator's durable
transaction and never by a status write. `labels` here are the operator's alone; the registry lays them over
those of the token. Nothing of a row decides who is let in: that is the ledger's.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final
from uuid import UUID

from sqlalchemy import Column, Connection, Integer, String, Table, Text, select, update
from sqlalchemy.dialects import postgresql, sqlite

from distribution.domain.agent import AgentView
from distribution.errors import InvalidError, UnknownError
from distribution.fleet.index import numbers
from distribution.fleet.rows import CELLS, AgentRow, dumps, row_of
from distribution.fleet.status import status
from keys.identity import AgentId
from storage.bulk import Pause, update_rows
from storage.database import metadata

LABELS_MAX: Final = 64
"""Labels an operator may give one agent."""

LABEL_MAX_CHARS: Final = 256
"""Longest name or value of a label."""

agents: Final = Table(
    "agents",
    metadata,
    Column("uid", String(36), primary_key=True),
    Column("labels", Text, nullable=False),
    Column("description", Text, nullable=True),
    Column("platform", String(64), nullable=True),
    Column("capabilities", Integer, nullable=False),
    Column("packages", Text, nullable=True),
    Column("problem", Text, nullable=False),
    Column("config", Text, nullable=True),
    Column("effective", Text, nullable=True),
    Column("connections", Text, nullable=True),
    Column("components", Text, nullable=True),
)

NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})

_NO_LABELS: Final = "{}"
_BATCH: Final = 500


def save(connection: Connection, views: Iterable[AgentView]) -> None:
    """Write all that these agents said but their status; rows that are not there are made, labels stay."""
    for batch in _batches(row_of(view) for view in views):
        statement = _insert(connection)
        told = {name: statement.excluded[name] for name in CELLS}
        connection.execute(statement.on_conflict_do_update(index_elements=[agents.c.uid], set_=told), batch)


def update_columns(
    connection: Connection, views: Iterable[AgentView], columns: Sequence[str], pause: Pause
) -> None:
    """Write these columns of agents that have a row; `pause` is called between batches."""
    cells = [CELLS[name] for name in columns]
    rows = ((str(view.uid), *(cell(view) for cell in cells)) for view in views)
    update_rows(connection, agents, "uid", columns, rows, pause=pause)


def introduce(connection: Connection, agent: AgentId) -> None:
    """Make the agent's row if there is none, so that it can be labelled before it first reports."""
    connection.execute(_insert(connection).on_conflict_do_nothing(), [row_of(AgentView(agent.uuid))])


def set_labels(connection: Connection, agent: AgentId, labels: Mapping[str, str]) -> None:
    """Replace the operator's labels of an agent. The caller MUST have the agent planned again.

    Raises:
        UnknownError: no such agent. InvalidError: too many labels, or one that is too long or empty.
    """
    if len(labels) > LABELS_MAX:
        raise InvalidError(f"agent {agent} is given {len(labels)} labels, at most {LABELS_MAX}")
    for name, value in labels.items():
        if not name or max(len(name), len(value)) > LABEL_MAX_CHARS:
            raise InvalidError(f"label {name!r} is empty or longer than {LABEL_MAX_CHARS} characters")
    changed = connection.execute(
        update(agents).where(agents.c.uid == str(agent)).values(labels=dumps(dict(labels)))
    )
    if changed.rowcount == 0:
        raise UnknownError(f"agent {agent} is unknown")


def labels_of(connection: Connection, among: Iterable[AgentId] | None = None) -> dict[UUID, dict[str, str]]:
    """Return the operator's labels of these agents, of all by default; who has none may be left out."""
    query = select(agents.c.uid, agents.c.labels)
    if among is None:
        query = query.where(agents.c.labels != _NO_LABELS)
    else:
        query = query.where(agents.c.uid.in_([str(agent) for agent in among]))
    return {UUID(uid): json.loads(labels) for uid, labels in connection.execute(query)}


def labels_in(row: AgentRow) -> Mapping[str, str]:
    """Return the operator's labels of a row."""
    found: dict[str, str] = json.loads(row.labels)
    return found or NO_LABELS


def every(connection: Connection) -> Iterator[AgentRow]:
    """Yield all agents' rows in the order of their uids, each with its status and its number in the index.

    They come from the database bit by bit. `number` and the status are None where there is none yet;
    `indexed` says whether what the agent told is in the index, `labelled` the same of its labels.
    """
    told = (status.c.health, status.c.connected, status.c.last_seen)
    indexed = numbers.c.told.is_not(None).label("indexed")
    labelled = numbers.c.labels.is_not(None).label("labelled")
    query = (
        select(agents, numbers.c.number, indexed, labelled, *told)
        .outerjoin(numbers, numbers.c.uid == agents.c.uid)
        .outerjoin(status, status.c.number == numbers.c.number)
        .order_by(agents.c.uid)
    )
    yield from connection.execute(query.execution_options(yield_per=_BATCH))


def _batches(rows: Iterable[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    left = iter(rows)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _insert(connection: Connection) -> "sqlite.Insert | postgresql.Insert":
    if connection.dialect.name == "postgresql":
        return postgresql.insert(agents)
    return sqlite.insert(agents)
