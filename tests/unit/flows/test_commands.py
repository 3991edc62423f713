"""Orders to restart: given once, told once, forgotten in time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from distribution.domain.agent import AgentView, Capability
from distribution.errors import PolicyError
from distribution.flows.commands import LIFETIME, Commands, restart_agent
from keys.identity import AgentId
from tests.fakes.databases import journalled, opened
from tests.fakes.live_connections import LiveConnections

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
UID = UUID("0192f2a1-7c3e-7abc-8def-0123456789ab")
VIEW = AgentView(UID, connected=True, capabilities=Capability.ACCEPTS_RESTART)
AGENT = AgentId(UID)


def test_an_order_waits_until_it_is_told() -> None:
    """Another one replaces it, with another number."""
    commands = Commands()
    first = commands.give(AGENT, NOW)
    assert commands.pending(AGENT, NOW) == first
    second = commands.give(AGENT, NOW)
    assert second.number > first.number
    commands.told(AGENT)
    assert commands.pending(AGENT, NOW) is None


def test_an_order_grows_old() -> None:
    """An agent that comes back a day later is not restarted."""
    commands = Commands()
    commands.give(AGENT, NOW)
    assert commands.pending(AGENT, NOW + LIFETIME) is None
    commands.give(AgentId(UUID(int=UID.int + 1)), NOW + timedelta(days=1))
    assert commands.pending(AGENT, NOW) is None


def test_an_operators_order_is_journalled_and_wakes_the_agent(tmp_path: Path) -> None:
    """In the journal before it is told."""
    commands, connections = Commands(), LiveConnections()
    with opened(tmp_path) as database:
        restart_agent(database, commands, connections, VIEW, actor="operator:ann", now=NOW)
        assert [entry.kind for entry in journalled(database)] == ["agent.restart"]
    assert commands.pending(AGENT, NOW) is not None
    assert connections.woken == [(AGENT,)]


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (AgentView(UID, capabilities=Capability.ACCEPTS_RESTART), "is not connected"),
        (AgentView(UID, connected=True), "does not say that it accepts"),
    ],
)
def test_an_agent_that_would_not_hear_is_not_ordered(tmp_path: Path, view: AgentView, why: str) -> None:
    """The operator is told why, and nothing is journalled."""
    commands = Commands()
    with opened(tmp_path) as database, pytest.raises(PolicyError, match=why):
        restart_agent(database, commands, LiveConnections(), view, actor="operator:ann", now=NOW)
    assert commands.pending(AGENT, NOW) is None
