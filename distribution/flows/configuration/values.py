"""The story of one agent's own values: set by an operator, and put in where a configuration asks for them.

Values may be secrets: they lie sealed, no answer shows one, and the journal (`config.valued`) has names
alone. They end with a reset of the agent (`flows.reset`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from distribution.domain.config_template import require_value
from distribution.domain.states import require_state
from distribution.errors import InvalidError
from distribution.fleet import config_assignments
from distribution.fleet.config_assignments import SetValue
from distribution.flows.configuration.versions import Parts
from keys.identity import AgentId
from storage import journal

VALUES_MAX: Final = 64
"""Variables that may be set for one agent at once."""


@dataclass(frozen=True, slots=True)
class Valued:
    """The variables of one agent without their values, and their state (`domain.states`)."""

    names: tuple[SetValue, ...]
    state: str


def set_values(
    parts: Parts,
    agent: AgentId,
    given: Mapping[str, str | None],
    *,
    actor: str,
    now: datetime,
    at_state: str | None = None,
) -> Valued:
    """Set variables of one agent (`${qm:value.NAME}`); None takes one away. Returns those it has now.

    Raises:
        InvalidError: too many at once. PolicyError: a value that may not stand in a configuration.
        ConflictError: its variables are at another state than `at_state`, which the caller saw.
    """
    if not 0 < len(given) <= VALUES_MAX:
        raise InvalidError(f"{len(given)} values are given at once, expected from 1 to {VALUES_MAX}")
    for name, value in given.items():
        if value is not None:
            require_value(value, f"value {name!r}")
    with parts.database.write() as connection:
        _require_state(connection, agent, at_state)
        config_assignments.set_values(connection, agent, given, seal=parts.seal, actor=actor, now=now)
        detail: dict[str, journal.JSON] = {
            "set": sorted(name for name, value in given.items() if value is not None),
            "removed": sorted(name for name, value in given.items() if value is None),
        }
        subject = f"agent:{agent}"
        journal.append(connection, kind="config.valued", actor=actor, subject=subject, detail=detail, at=now)
        now_set = valued(connection, agent)
    parts.connections.wake([agent])
    return now_set


def valued(connection: Connection, agent: AgentId) -> Valued:
    """Return which variables an agent has."""
    state = config_assignments.values_state(connection, agent)
    return Valued(config_assignments.names_of(connection, agent), state)


def _require_state(connection: Connection, agent: AgentId, expected: str | None) -> None:
    present = valued(connection, agent)
    said = ", ".join(f"{one.name} by {one.by}" for one in present.names) or "none"
    require_state(f"variables of agent {agent}", expected, present.state, said)
