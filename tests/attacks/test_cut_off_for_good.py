"""A stolen server tries to cut an agent off from the honest one that comes after it.

Whatever an agent keeps and repeats of a server's words, the next server must be able to read.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.agent.conversation import Conversation, Numbers, Offered, Refused
from distribution.agent.messages import About
from distribution.agent.supervisor import now
from distribution.errors import MalformedError
from distribution.protocol.reports import PACKAGES_MAX, from_websocket
from distribution.protocol.wire import encode_ws
from distribution.setting_sections import LimitsSettings
from tests.fakes.agent_programs import FakeMachine
from tests.fakes.agent_world import AgentWorld
from tests.fakes.besieged_agent import UID, repository
from tests.fakes.certificates import agent as some_agent

ABOUT = About(some_agent(), "collector", "linux", "amd64", "host")


def conversation() -> Conversation:
    return Conversation(ABOUT, Numbers(), now)


def flood(packages: int, hash_bytes: int) -> opamp_pb2.ServerToAgent:
    """Return an offer of packages that no host knows, in words as long as an agent takes them."""
    message = opamp_pb2.ServerToAgent(instance_uid=UID.bytes)
    offered = message.packages_available
    for number in range(packages):
        package = offered.packages[f"{number:0>256}"]
        package.version, package.hash = "\U0001f980" * 256, b"h" * 256
        package.file.content_hash = b"c" * 256
    offered.all_packages_hash = b"h" * hash_bytes
    return message


@pytest.mark.parametrize(
    ("packages", "hash_bytes"),
    [(PACKAGES_MAX, 32), (PACKAGES_MAX // 2, 256), (1, LimitsSettings().message_max_bytes)],
    ids=["many", "as-many-as-taken", "long"],
)
def test_an_offer_that_the_next_server_cannot_hear_of(tmp_path: Path, packages: int, hash_bytes: int) -> None:
    """The report after it is one that an honest server takes."""
    world = AgentWorld(tmp_path, repository(), FakeMachine())
    world.keeper.start()
    world.offer(world.offered("1.0.0"))
    world.settle()
    try:
        [_, offered] = conversation().take(flood(packages, hash_bytes))
    except MalformedError:
        assert hash_bytes > 256 or packages > PACKAGES_MAX // 2
    else:
        assert isinstance(offered, Offered)
        world.keeper.offer(offered.offer)
        world.keeper.step()
        world.restart()
    message = conversation().next(world.report, None)
    assert message is not None
    said = encode_ws(message)
    assert len(said) <= LimitsSettings().message_max_bytes
    assert from_websocket(said).packages is not None


def test_settings_that_the_next_server_cannot_hear_of() -> None:
    """A hash of settings is repeated in a report, too."""
    message = opamp_pb2.ServerToAgent()
    message.connection_settings.hash = b"h" * 257
    message.connection_settings.opamp.heartbeat_interval_seconds = 30
    with pytest.raises(MalformedError, match="hash has 257 bytes, at most 256"):
        conversation().take(message)


def test_a_server_that_sends_the_fleet_away_for_good() -> None:
    """A pause of 584 years is an hour, as it is where HTTP says it."""
    message = opamp_pb2.ServerToAgent()
    message.error_response.type = opamp_pb2.ServerErrorResponseType_Unavailable
    message.error_response.retry_info.retry_after_nanoseconds = (1 << 64) - 1
    [refused] = conversation().take(message)
    assert isinstance(refused, Refused)
    assert refused.retry_after == timedelta(hours=1).total_seconds()
