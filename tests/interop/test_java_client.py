"""An agent on the published OpAMP client for Java: what it does with this server, and what it cannot.

Its library claims no ReportsStatus, and reports all the same. Over WebSocket its first message has no more
than uid, sequence number and capabilities, and it answers a request for its full state only when it has
something else to send.
"""

import json
from pathlib import Path

import pytest

from distribution.demo.cluster import Cluster
from tests.interop.matrix import Client, Column, cannot, saw
from tests.interop.parts import require, run
from tests.interop.strangers import SCHEMES, Stranger, java_agent, stranger
from tests.interop.world_parts import JAVA_CLIENT

BEYOND = (
    Column.HEALTH,
    Column.TELEMETRY,
    Column.CONNECTION,
    Column.PACKAGES,
    Column.RESTART,
)
SWITCHES = {"enableRemoteConfig", "enableEffectiveConfigReporting"}


@pytest.fixture
def agent(world: Cluster, tmp_path: Path) -> Stranger:
    """An agent with a bearer token."""
    return stranger(world, tmp_path)


@pytest.mark.parametrize("transport", SCHEMES)
def test_it_reports(agent: Stranger, transport: str) -> None:
    """It comes with its token, says what it is, and what it runs on."""
    with java_agent(agent, transport) as program:
        row = agent.until_connected(program)
        assert row["identifying"]["service.name"] == "java-agent"
        agent.until("its effective configuration", lambda _: agent.effective() or None, program)
        assert agent.effective() == {"": "log_level: info\n"}
    saw(Client.JAVA, Column.STATUS, f"connected over {transport} with a bearer token")
    saw(Client.JAVA, Column.DESCRIPTION, "what its program says")
    saw(Client.JAVA, Column.EFFECTIVE, "what its program says")


@pytest.mark.parametrize("transport", SCHEMES)
def test_it_applies_what_it_is_told(agent: Stranger, transport: str) -> None:
    """A good configuration is applied and seen to be; a bad one fails with its words; the next is applied."""
    with java_agent(agent, transport) as program:
        agent.until_connected(program)
        agent.configure({"": ("log_level: debug\n", "text/yaml")})
        agent.until_configured("applied", "", program)
        assert agent.effective() == {"": "log_level: debug\n"}
        saw(Client.JAVA, Column.CONFIG_GOOD, "applied by its program; its effective configuration agrees")
        agent.configure({"": ("log_volume: 11\n", "text/yaml")})
        agent.until_configured("failed", "unknown setting log_volume", program)
        saw(Client.JAVA, Column.CONFIG_BAD, "FAILED with its program's words")
        agent.configure({"": ("log_level: error\n", "text/yaml")})
        agent.until_configured("applied", "", program)


@pytest.mark.parametrize("transport", SCHEMES)
def test_revoked_it_is_out(agent: Stranger, transport: str) -> None:
    """Its connection is cut, and it is refused when it comes again."""
    with java_agent(agent, transport) as program:
        agent.until_connected(program)
        cut = agent.revoke()["connections_cut"]
        assert cut == 1
        program.wait_for_event("refused_by_server", lambda event: event["status"] == "401")
        agent.until_gone(program)
    saw(Client.JAVA, Column.REVOCATION, "the live connection is cut, and it is refused with 401 from then on")


def test_the_library_has_two_switches() -> None:
    """Remote and effective configuration are all that can be turned on; the first is all that is heard of."""
    program = require(JAVA_CLIENT)
    said = [json.loads(line) for line in run([str(program), "library"], cwd=program.parent).splitlines()]
    assert {one["name"] for one in said if one["event"] == "can"} == SWITCHES
    assert {one["name"] for one in said if one["event"] == "hears"} == {"getRemoteConfig"}
    for column in BEYOND:
        cannot(
            Client.JAVA,
            column,
            f"the library's builder turns on {' and '.join(sorted(SWITCHES))}, nothing else; "
            "of an offer it hands a program the remote configuration only",
        )
