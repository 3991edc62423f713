"""What a row keeps of an agent's words is read back as it was said."""

from uuid import UUID

import pytest

from distribution.domain.agent import AgentView
from distribution.domain.configuration import Agreement, ConfigState, ConfigStatus, EffectiveSeen
from distribution.domain.connections import ConnectionState, ConnectionStatus
from distribution.fleet import words

UID = UUID(int=7)


@pytest.mark.parametrize("agreed", [True, False])
def test_an_effective_configuration_is_read_back(*, agreed: bool) -> None:
    """Every part of what was seen of an effective configuration is in the column."""
    seen = EffectiveSeen(b"\x01" * 32, Agreement.DIFFERS, b"\x02" * 32, "a: differs", agreed)
    assert words.effective(words.effective_text(AgentView(UID, effective=seen))) == seen


def test_statuses_are_read_back() -> None:
    """State, hash and error of configuration and connections are in their columns."""
    config = ConfigStatus(ConfigState.FAILED, b"\x03" * 34, "no such receiver")
    connections = ConnectionStatus(ConnectionState.APPLIED, b"\x04" * 34)
    view = AgentView(UID, config=config, connections=connections)
    assert words.config(words.config_text(view)) == config
    assert words.connections(words.connections_text(view)) == connections


def test_nothing_is_nothing() -> None:
    """What an agent never said has no text, and no text is nothing said."""
    view = AgentView(UID)
    assert words.config_text(view) is words.effective_text(view) is words.connections_text(view) is None
    assert words.config(None) is words.effective(None) is words.connections(None) is None
