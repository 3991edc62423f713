"""The agents as rows: what each told us last, and the labels an operator gave it.

Rules: status is written relaxed, because agents say it again; labels are written by an operator's durable
transaction and never by a status write. `labels` here are the operator's alone; the registry lays them over
those of the token. Nothing of a row decides who is let in: that is the ledger's.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import Boolean, Column, Connection, Integer, Row, String, Table, Text, select, update
from sqlalchemy.dialects import postgresql, sqlite

from distribution.domain.agent import (
    AgentView,
    Capability,
    Components,
    Description,
    Health,
    PackageReport,
    PackagesReport,
    PackageState,
)
from distribution.errors import InvalidError, UnknownError
from distribution.fleet import words
from keys.identity import AgentId
from storage.database import UtcDateTime, metadata

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
    Column("health", Text, nullable=True),
    Column("packages", Text, nullable=True),
    Column("connected", Boolean, nullable=False),
    Column("last_seen", UtcDateTime, nullable=True),
    Column("problem", Text, nullable=False),
    Column("config", Text, nullable=True),
    Column("effective", Text, nullable=True),
    Column("connections", Text, nullable=True),
    Column("components", Text, nullable=True),
)

_Row: TypeAlias = Row[Any]
_PLATFORM_CHARS: Final = 64
_BATCH: Final = 500


def save(connection: Connection, views: Iterable[AgentView]) -> None:
    """Write the status of these agents; rows that are not there are made, labels are left alone."""
    rows = [_row(view) for view in views]
    status = [column.name for column in agents.columns if column.name not in ("uid", "labels")]
    for start in range(0, len(rows), _BATCH):
        statement = _insert(connection)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[agents.c.uid], set_={name: statement.excluded[name] for name in status}
            ),
            rows[start : start + _BATCH],
        )


def introduce(connection: Connection, agent: AgentId) -> None:
    """Make the agent's row if there is none, so that it can be labelled before it first reports."""
    connection.execute(_insert(connection).on_conflict_do_nothing(), [_row(AgentView(agent.uuid))])


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
        update(agents).where(agents.c.uid == str(agent)).values(labels=_dumps(dict(labels)))
    )
    if changed.rowcount == 0:
        raise UnknownError(f"agent {agent} is unknown")


def labels_of(connection: Connection, among: Iterable[AgentId] | None = None) -> dict[UUID, dict[str, str]]:
    """Return the operator's labels of these agents, of all by default; strangers are left out."""
    query = select(agents.c.uid, agents.c.labels)
    if among is not None:
        query = query.where(agents.c.uid.in_([str(agent) for agent in among]))
    return {UUID(uid): json.loads(labels) for uid, labels in connection.execute(query)}


def every(connection: Connection) -> list[AgentView]:
    """Return all agents in the order of their uids."""
    return [_view(row) for row in connection.execute(select(agents).order_by(agents.c.uid))]


def none_connected(connection: Connection) -> None:
    """Record that nobody is connected: the truth when a server starts."""
    connection.execute(update(agents).where(agents.c.connected.is_(True)).values(connected=False))


def _insert(connection: Connection) -> "sqlite.Insert | postgresql.Insert":
    if connection.dialect.name == "postgresql":
        return postgresql.insert(agents)
    return sqlite.insert(agents)


def _row(view: AgentView) -> dict[str, object]:
    description, health, packages = view.description, view.health, view.packages
    platform = view.platform
    return {
        "uid": str(view.uid),
        "labels": "{}",
        "description": None if description is None else _description_text(description),
        "platform": None if platform is None else platform[:_PLATFORM_CHARS],
        "capabilities": int(view.capabilities),
        "health": None if health is None else _dumps(_health_parts(health)),
        "packages": None if packages is None else _packages_text(packages),
        "connected": view.connected,
        "last_seen": view.last_seen,
        "problem": view.problem,
        **words.texts(view),
    }


def _view(row: _Row) -> AgentView:
    return AgentView(
        uid=UUID(row.uid),
        labels=json.loads(row.labels),
        description=None if row.description is None else Description(*json.loads(row.description)),
        capabilities=Capability(row.capabilities),
        health=None if row.health is None else _health(json.loads(row.health)),
        packages=None if row.packages is None else _packages(json.loads(row.packages)),
        connected=row.connected,
        last_seen=row.last_seen,
        problem=row.problem,
        config=words.config(row.config),
        effective=words.effective(row.effective),
        connections=words.connections(row.connections),
        components=None if row.components is None else Components(bytes.fromhex(row.components)),
    )


def _health_parts(health: Health) -> list[object]:
    parts = {name: _health_parts(part) for name, part in health.components.items()}
    return [health.healthy, health.status, health.error, *([parts] if parts else [])]


def _health(stored: list[Any]) -> Health:
    healthy, status, error, *rest = stored
    parts: dict[str, list[Any]] = rest[0] if rest else {}
    return Health(healthy, status, error, {name: _health(part) for name, part in parts.items()})


def _description_text(description: Description) -> str:
    return _dumps([dict(description.identifying), dict(description.attributes)])


def _packages_text(report: PackagesReport) -> str:
    found = [
        [
            package.name,
            package.state.value,
            package.version,
            package.hash.hex(),
            package.offered_version,
            package.offered_hash.hex(),
            package.error,
        ]
        for package in report.packages
    ]
    return _dumps([found, report.offer_hash.hex(), report.error])


def _packages(stored: list[Any]) -> PackagesReport:
    found, offer_hash, error = stored
    return PackagesReport(tuple(_package(*parts) for parts in found), bytes.fromhex(offer_hash), error)


def _package(*parts: str) -> PackageReport:
    name, state, version, held, offered_version, offered_hash, error = parts
    return PackageReport(
        name=name,
        state=PackageState(state),
        version=version,
        hash=bytes.fromhex(held),
        offered_version=offered_version,
        offered_hash=bytes.fromhex(offered_hash),
        error=error,
    )


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
