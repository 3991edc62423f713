"""Custom messages: a small registry, asked and answered."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import AgentView, CustomMessage, Plan
from distribution.flows.custom import EXPLAIN, OURS, answer, explained
from distribution.protocol.session import Session, Standing
from tests.fakes.listening import listening
from tests.fakes.speaking import TRANSPORTS, speaking
from tests.fakes.wire_client import description

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PLAN = Plan(None, 30, "no channel applies")
ASK = CustomMessage(EXPLAIN, "ask", b"")
UID = UUID("0192f2a1-7c3e-7abc-8def-0123456789ab")


def session(*capabilities: str) -> Session:
    """Return the session of an agent that says it has these custom capabilities."""
    view = AgentView(UID, connected=True, custom_capabilities=frozenset(capabilities))
    return Session(view, Standing.CURRENT, greeted=True)


def test_an_agent_may_ask_why() -> None:
    """The answer is the reasons, one sentence each."""
    said = answer(OURS, session(EXPLAIN), PLAN, ASK, NOW)
    assert said is not None
    assert (said.capability, said.type) == (EXPLAIN, "reasons")
    assert json.loads(said.data)[0] == "packages: nothing is offered, because no channel applies"


def test_what_nobody_registered_is_passed_over() -> None:
    """Another capability, another type, or an agent that does not say that it knows the capability."""
    assert answer(OURS, session(EXPLAIN), PLAN, CustomMessage("com.example.x", "ask", b""), NOW) is None
    assert answer(OURS, session(), PLAN, ASK, NOW) is None
    assert explained(session(EXPLAIN), PLAN, CustomMessage(EXPLAIN, "other", b""), NOW) is None


def test_a_handler_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the message is answered without it."""

    def broken(*_args: object) -> CustomMessage | None:
        raise RuntimeError("no")

    assert answer({EXPLAIN: broken}, session(EXPLAIN), PLAN, ASK, NOW) is None
    assert "custom message failed" in caplog.text


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_capabilities_are_said_with_the_greeting(tmp_path: Path, transport: str) -> None:
    """And messages of them are answered over both transports."""
    with listening(tmp_path) as at, speaking(at, transport, introduce=False) as agent:
        at.exchange._custom = OURS
        mine = opamp_pb2.CustomCapabilities(capabilities=[EXPLAIN])
        first = agent.says(agent_description=description(), custom_capabilities=mine)
        asked = agent.says(custom_message=opamp_pb2.CustomMessage(capability=EXPLAIN, type="ask"))
    assert list(first.custom_capabilities.capabilities) == [EXPLAIN]
    assert asked.custom_message.type == "reasons"
