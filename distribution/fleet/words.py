"""What an agent said of configuration and connections, as short texts in its row, and read back."""

import json

from distribution.domain.agent import AgentView
from distribution.domain.configuration import Agreement, ConfigState, ConfigStatus, EffectiveSeen
from distribution.domain.connections import ConnectionState, ConnectionStatus


def config_text(view: AgentView) -> str | None:
    """Return the column `config`."""
    said = view.config
    return None if said is None else _text(said.state.value, said.hash.hex(), said.error)


def effective_text(view: AgentView) -> str | None:
    """Return the column `effective`."""
    seen = view.effective
    if seen is None:
        return None
    agreed = "agreed" if seen.agreed else ""
    return _text(seen.digest.hex(), seen.agreement.value, seen.intended.hex(), seen.why, agreed)


def connections_text(view: AgentView) -> str | None:
    """Return the column `connections`."""
    said = view.connections
    return None if said is None else _text(said.state.value, said.hash.hex(), said.error)


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
