"""A revocation: recorded first, cut at once, and the cut is journalled with its time."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from distribution.flows.revoke import Cut, revoke
from keys.certificate import Reason, Serial
from keys.errors import RefusedError
from keys.identity import AgentId
from storage.database import Database
from tests.fakes.databases import journalled, opened
from tests.fakes.live_connections import LiveConnections
from tests.fakes.revoker import HeldSerials

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
AGENT = AgentId(uuid.UUID(int=7))
CURRENT, NEXT = Serial(0xA1), Serial(0xA2)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def run(
    database: Database, authority: HeldSerials, connections: LiveConnections, *, ban: bool = False
) -> Cut:
    ticks = iter([10.0, 10.0025])
    return revoke(
        authority,
        connections,
        database,
        AGENT,
        Reason.KEY_COMPROMISE,
        ban=ban,
        actor="operator:ann",
        clock=lambda: NOW,
        stopwatch=lambda: next(ticks),
    )


def test_every_live_connection_of_the_agent_is_cut(database: Database) -> None:
    """Current and next serial both lose their connections; how many and how fast is returned."""
    authority = HeldSerials({AGENT: (CURRENT, NEXT)})
    connections = LiveConnections({CURRENT: 1, NEXT: 1, Serial(0xB1): 1})
    cut = run(database, authority, connections)
    assert cut == Cut(AGENT, (CURRENT, NEXT), 2, 2.5)
    assert list(connections.live) == [Serial(0xB1)]
    assert authority.asked == [("key_compromise", AGENT, "operator:ann", False)]


def test_the_cut_is_journalled(database: Database) -> None:
    """The receipt names the agent, the serials, the number and the milliseconds."""
    run(database, HeldSerials({AGENT: (CURRENT,)}), LiveConnections({CURRENT: 1}))
    [entry] = journalled(database)
    assert (entry.kind, entry.actor, entry.subject) == ("connection.cut", "operator:ann", f"agent:{AGENT}")
    assert entry.detail == {"serials": ["a1"], "connections": 1, "elapsed_ms": 2.5}


def test_an_agent_that_is_not_connected_needs_no_receipt(database: Database) -> None:
    """Nothing was cut, so nothing says so; the revocation itself is the authority's entry."""
    cut = run(database, HeldSerials({AGENT: (CURRENT,)}), LiveConnections())
    assert cut.connections == 0
    assert journalled(database) == []


def test_revoking_again_is_no_error(database: Database) -> None:
    """The second time there is nothing left to cut."""
    authority, connections = HeldSerials({AGENT: (CURRENT,)}), LiveConnections({CURRENT: 1})
    run(database, authority, connections)
    assert run(database, authority, connections, ban=True).serials == ()
    assert authority.asked[1][3] is True


def test_a_stranger_is_refused_and_nothing_is_cut(database: Database) -> None:
    """What the authority refuses goes no further."""
    connections = LiveConnections({CURRENT: 1})
    with pytest.raises(RefusedError, match="never enrolled"):
        run(database, HeldSerials({}), connections)
    assert connections.cuts == []
