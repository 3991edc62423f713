"""What an agent said of configuration and connections, as short texts in its row, and read back."""

import json

from distribution.domain.agent import AgentView
from distribution.domain.configuration import Agreement, ConfigState, ConfigStatus, EffectiveSeen
from distribution.domain.connections import ConnectionState, ConnectionStatus


def texts(view: AgentView) -> dict[str, str | None]:
    """Return the columns `config`, `effective`, `connections` and `components` of the agent's row."""
    config, effective, connections = view.config, view.effective, view.connections
    return {
        "config": None if config is None else _text(config.state.value, config.hash.hex(), config.error),
        "effective": None
        if effective is None
        else _text(
            effective.digest.hex(),
            effective.agreement.value,
            effective.intended.hex(),
            effective.why,
            "agreed" if effective.agreed else "",
        ),
        "connections": None
        if connections is None
        else _text(connections.state.value, connections.hash.hex(), connections.error),
        "components": None if view.components is None else view.components.hash.hex(),
    }


def config(stored: str | None) -> ConfigStatus | None:
    """Read the column `config`."""
    if stored is None:
        return None
    state, named, error = json.loads(stored)
    return ConfigStatus(ConfigState(state), bytes.fromhex(named), error)


def effective(stored: str | None) -> EffectiveSeen | None:
    """Read the column `effective`."""
    if stored is None:
        return None
    digest, agreement, intended, why, agreed = json.loads(stored)
    return EffectiveSeen(
        bytes.fromhex(digest), Agreement(agreement), bytes.fromhex(intended), why, bool(agreed)
    )


def connections(stored: str | None) -> ConnectionStatus | None:
    """Read the column `connections`."""
    if stored is None:
        return None
    state, named, error = json.loads(stored)
    return ConnectionStatus(ConnectionState(state), bytes.fromhex(named), error)


def _text(*parts: str) -> str:
    return json.dumps(parts, separators=(",", ":"))
