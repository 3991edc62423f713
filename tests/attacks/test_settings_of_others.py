"""An agent that describes itself as another one, to be told that one's destinations and their secrets."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Capability, Description
from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import Destination
from distribution.flows.connections import ConnectionBoard, set_setting
from keys.sealing import Seal, new_seal_key
from storage.database import Database
from tests.fakes.databases import opened
from tests.fakes.live_connections import LiveConnections

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
SEAL = Seal([new_seal_key().strip()], "test")
SECRET = Destination("https://otlp.example/v1/metrics", {"Authorization": "Basic s3cret"})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


@pytest.mark.parametrize(
    ("defect", "described"),
    [
        ("claims_by_attribute", Description(attributes={"team": "payments"})),
        ("claims_by_identity", Description(identifying={"team": "payments"})),
        ("claims_by_both", Description({"team": "payments"}, {"team": "payments"})),
    ],
)
def test_what_an_agent_says_of_itself_opens_nothing(
    database: Database, defect: str, described: Description
) -> None:
    """Only the label that a token or an operator gave is looked at."""
    assert defect
    setting = Setting("payments", Kind.METRICS, {"team": "payments"}, SECRET)
    set_setting(database, LiveConnections(), setting, seal=SEAL, actor="operator:ann", now=NOW)
    board = ConnectionBoard(database, SEAL, lambda _: None, lambda _: True)
    board.reload()
    able = Capability.REPORTS_OWN_METRICS
    thief = AgentView(uuid.UUID(int=1), {}, described, able)
    assert board.connections_for(thief) is None
    wrong = AgentView(uuid.UUID(int=1), {"team": "web"}, described, able)
    assert board.connections_for(wrong) is None
    owner = AgentView(uuid.UUID(int=2), {"team": "payments"}, None, able)
    assert board.connections_for(owner) is not None
