"""An agent's row and its view: how what is known of one agent becomes columns, and comes back."""

import json
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Row

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
from distribution.fleet import words

AgentRow: TypeAlias = Row[Any]

_PLATFORM_CHARS = 64
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def row_of(view: AgentView) -> dict[str, object]:
    """Return the columns of a new row, without its status; its labels are none: they are an operator's."""
    return {"uid": str(view.uid), "labels": "{}", **{name: cell(view) for name, cell in CELLS.items()}}


def view_of(row: AgentRow) -> AgentView:
    """Return what a row says; its labels are the operator's alone."""
    return AgentView(
        uid=UUID(row.uid),
        labels=json.loads(row.labels),
        description=None if row.description is None else Description(*json.loads(row.description)),
        capabilities=Capability(row.capabilities),
        health=None if row.health is None else _health(json.loads(row.health)),
        packages=None if row.packages is None else _packages(json.loads(row.packages)),
        connected=bool(row.connected),  # None where it has no status yet
        last_seen=row.last_seen,
        problem=row.problem,
        config=words.config(row.config),
        effective=words.effective(row.effective),
        connections=words.connections(row.connections),
        components=None if row.components is None else Components(bytes.fromhex(row.components)),
    )


def health_text(health: Health | None) -> str | None:
    """Return the health of an agent as it is stored; most have no parts, and that is said at once."""
    if health is None:
        return None
    if health.components:
        return dumps(_health_parts(health))
    return f"[{'true' if health.healthy else 'false'},{_quoted(health.status)},{_quoted(health.error)}]"


def _health_parts(health: Health) -> list[object]:
    parts = {name: _health_parts(part) for name, part in health.components.items()}
    return [health.healthy, health.status, health.error, *([parts] if parts else [])]


def _health(stored: list[Any]) -> Health:
    healthy, status, error, *rest = stored
    parts: dict[str, list[Any]] = rest[0] if rest else {}
    return Health(healthy, status, error, {name: _health(part) for name, part in parts.items()})


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
    return dumps([found, report.offer_hash.hex(), report.error])


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


def dumps(value: object) -> str:
    """Return short JSON."""
    return _ENCODE(value)


def _description(view: AgentView) -> str | None:
    described = view.description
    return None if described is None else dumps([dict(described.identifying), dict(described.attributes)])


def _platform(view: AgentView) -> str | None:
    platform = view.platform
    return None if platform is None else platform[:_PLATFORM_CHARS]


CELLS: Mapping[str, Callable[[AgentView], object]] = {
    "description": _description,
    "platform": _platform,
    "capabilities": lambda view: int(view.capabilities),
    "packages": lambda view: None if view.packages is None else _packages_text(view.packages),
    "problem": lambda view: view.problem,
    "config": words.config_text,
    "effective": words.effective_text,
    "connections": words.connections_text,
    "components": lambda view: None if view.components is None else view.components.hash.hex(),
}
"""What each column of the agent's row holds of a view; its status is written by itself."""
