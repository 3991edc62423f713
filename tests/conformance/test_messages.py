"""What OpAMP asks of every answer, over both transports of a real listener."""

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import Plan, Restart
from distribution.domain.configuration import ConfigObject, RemoteConfig
from distribution.protocol.offers import SERVER_CAPABILITIES
from tests.fakes.listening import Listening
from tests.fakes.offers import an_offer
from tests.fakes.speaking import TRANSPORTS, speaking
from tests.fakes.wire_client import description

pytestmark = pytest.mark.parametrize("transport", TRANSPORTS)
CONFIG = RemoteConfig({"": ConfigObject(b"receivers: {}", "text/yaml")}, "base@1")


def fields(message: opamp_pb2.ServerToAgent) -> list[str]:
    """Return the names of what a message says."""
    return [field.name for field, _ in message.ListFields()]


def test_an_answer_with_nothing_to_say_is_an_acknowledgement(at: Listening, transport: str) -> None:
    """Only the uid is there, and it is the agent's own."""
    with speaking(at, transport) as agent:
        heard = agent.says()
    assert fields(heard) == ["instance_uid"]
    assert heard.instance_uid == agent.agent.raw


def test_capabilities_are_said_first_and_left_out_later(at: Listening, transport: str) -> None:
    """Only bits that are defined; that status is accepted always among them."""
    with speaking(at, transport, introduce=False) as agent:
        first, second = agent.says(agent_description=description()), agent.says()
    defined = sum(value for value in opamp_pb2.ServerCapabilities.values() if value)
    assert first.capabilities == SERVER_CAPABILITIES
    assert first.capabilities & ~defined == 0
    assert first.capabilities & opamp_pb2.ServerCapabilities_AcceptsStatus
    assert second.capabilities == 0


def test_the_same_message_twice_is_answered_twice(at: Listening, transport: str) -> None:
    """A repeated number is a gap too, so the second answer asks for everything."""
    with speaking(at, transport) as agent:
        message = agent.message(1)
        first, second = agent.exchange(message), agent.exchange(message)
    assert first.instance_uid == second.instance_uid == agent.agent.raw
    assert (first.flags, second.flags) == (0, opamp_pb2.ServerToAgentFlags_ReportFullState)


def test_a_gap_asks_for_the_full_state_and_nothing_else_does(at: Listening, transport: str) -> None:
    """Once everything was said again the numbers are followed from there."""
    with speaking(at, transport) as agent:
        assert agent.says().flags == 0
        agent.number += 5
        assert agent.says().flags == opamp_pb2.ServerToAgentFlags_ReportFullState
        assert agent.says(agent_description=description()).flags == 0
        assert agent.says().flags == 0


def test_an_unknown_agent_that_says_little_is_asked_for_everything(at: Listening, transport: str) -> None:
    """Uid, number and capabilities alone are understood, and not enough."""
    with speaking(at, transport, introduce=False) as agent:
        heard = agent.says()
    assert heard.flags == opamp_pb2.ServerToAgentFlags_ReportFullState
    assert not heard.HasField("error_response")


def test_a_known_agent_that_reconnects_may_say_little(at: Listening, transport: str) -> None:
    """What it said on the last connection is remembered; it goes on counting."""
    identity = at.enrolled()
    with speaking(at, transport, identity) as agent:
        agent.says()
    with speaking(at, transport, identity, introduce=False) as again:
        again.number = agent.number
        assert again.says().flags == 0
    view = at.registry.find(identity.agent)
    assert view.platform == "linux-amd64"


def test_capabilities_that_an_agent_changes_are_respected(at: Listening, transport: str) -> None:
    """Nothing is offered to whom does not accept it, and it is offered once it does."""
    at.plans.plan = Plan(an_offer(), 30, config=CONFIG, restart=Restart(1))
    with speaking(at, transport, introduce=False) as agent:
        agent.capabilities = opamp_pb2.AgentCapabilities_ReportsStatus
        assert fields(agent.says(agent_description=description())) == ["instance_uid", "capabilities"]
        agent.capabilities |= opamp_pb2.AgentCapabilities_AcceptsRemoteConfig
        assert fields(agent.says()) == ["instance_uid", "remote_config"]
        agent.capabilities |= opamp_pb2.AgentCapabilities_AcceptsPackages
        assert "packages_available" in fields(agent.says())
        agent.capabilities |= opamp_pb2.AgentCapabilities_AcceptsRestartCommand
        assert fields(agent.says()) == ["instance_uid", "command"]


def test_a_command_is_alone_in_its_message(at: Listening, transport: str) -> None:
    """What else is due comes with the next answer."""
    with speaking(at, transport, introduce=False) as agent:
        at.plans.plan = Plan(an_offer(), 30, config=CONFIG, restart=Restart(1))
        first = agent.says(agent_description=description())
        assert fields(first) == ["instance_uid", "capabilities", "command"]
        assert first.command.type == opamp_pb2.CommandType_Restart
        assert fields(agent.says()) == ["instance_uid", "remote_config", "packages_available"]


def test_an_error_is_alone_in_its_message(at: Listening, transport: str) -> None:
    """What cannot be understood is answered with BAD_REQUEST and a reason in words."""
    with speaking(at, transport) as agent:
        request = opamp_pb2.ConnectionSettingsRequest()
        request.opamp.certificate_request.csr = bytes(20_000)
        heard = agent.says(connection_settings_request=request)
    assert fields(heard) in (["error_response"], ["instance_uid", "error_response"])
    assert heard.error_response.type == opamp_pb2.ServerErrorResponseType_BadRequest
    assert "20000 bytes" in heard.error_response.error_message


def test_a_request_for_a_certificate_that_is_refused_is_a_bad_request(at: Listening, transport: str) -> None:
    """Whatever the reason, the type of the error is the one that is prescribed."""
    with speaking(at, transport) as agent:
        request = opamp_pb2.ConnectionSettingsRequest()
        request.opamp.certificate_request.csr = b"no request at all"
        heard = agent.says(connection_settings_request=request)
        if not heard.HasField("error_response"):
            heard = agent.hears()  # over WebSocket the message is acknowledged before the request is decided
    assert heard.error_response.type == opamp_pb2.ServerErrorResponseType_BadRequest


def test_an_agent_that_asks_for_a_uid_is_given_its_own(at: Listening, transport: str) -> None:
    """A credential is of one uid; the agent that holds it is told which."""
    with speaking(at, transport) as agent:
        heard = agent.says(flags=opamp_pb2.AgentToServerFlags_RequestInstanceUid)
    assert heard.agent_identification.new_instance_uid == agent.agent.raw
    assert len(heard.agent_identification.new_instance_uid) == 16


def test_the_last_message_is_acknowledged(at: Listening, transport: str) -> None:
    """And the agent counts as disconnected from then on."""
    at.plans.plan = Plan(None, 30, config=CONFIG)
    with speaking(at, transport) as agent:
        heard = agent.says(agent_disconnect=opamp_pb2.AgentDisconnect())
        assert fields(heard) == ["instance_uid"]
        assert not at.registry.find(agent.agent).connected
