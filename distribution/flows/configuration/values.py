"""The story of one agent's own values: set by an operator, and put in where a configuration asks for them.

Values may be secrets: they lie sealed, no answer shows one, and the journal (`config.valued`) has names
alone. They end with a reset of the agent (`flows.reset`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from distribution.domain.config_template import require_value
from distribution.errors import InvalidError
from distribution.fleet import config_assignments
from distribution.fleet.config_assignments import SetValue
from distribution.flows.configuration.versions import Parts
from keys.identity import AgentId
from storage import journal

VALUES_MAX: Final = 64
"""Variables that may be set for one agent at once."""


def set_values(
    parts: Parts,
    agent: AgentId,
    given: Mapping[str, str | None],
    *,
    actor: str,
    now: datetime,
) -> tuple[SetValue, ...]:
    """Set variables of one agent (`${qm:value.NAME}`); None takes one away. Returns those it has now.

    Raises:
        InvalidError: too many at once. PolicyError: a value that may not stand in a configuration.
    """
    if not 0 < len(given) <= VALUES_MAX:
        raise InvalidError(f"{len(given)} values are given at once, expected from 1 to {VALUES_MAX}")
    for name, value in given.items():
        if value is not None:
            require_value(value, f"value {name!r}")
    with parts.database.write() as connection:
        config_assignments.set_values(connection, agent, given, seal=parts.seal, actor=actor, now=now)
        detail: dict[str, journal.JSON] = {
            "set": sorted(name for name, value in given.items() if value is not None),
            "removed": sorted(name for name, value in given.items() if value is None),
        }
        subject = f"agent:{agent}"
        journal.append(connection, kind="config.valued", actor=actor, subject=subject, detail=detail, at=now)
        names = config_assignments.names_of(connection, agent)
    parts.connections.wake([agent])
    return names
