"""An agent on the published OpAMP client for Node.js: what it does with this server, and what it cannot."""

import json
from pathlib import Path

import pytest

from distribution.demo.cluster import Cluster
from tests.interop.matrix import Client, Column, cannot, saw
from tests.interop.parts import require, run
from tests.interop.strangers import Stranger, certified, node_agent, stranger
from tests.interop.world_parts import NODE_CLIENT

WANTED = {
    Column.HEALTH: ("ReportsHealth",),
    Column.EFFECTIVE: ("ReportsEffectiveConfig",),
    Column.TELEMETRY: ("ReportsOwnMetrics", "ReportsOwnTraces", "ReportsOwnLogs"),
    Column.CONNECTION: ("AcceptsOpAMPConnectionSettings", "AcceptsOtherConnectionSettings"),
    Column.PACKAGES: ("AcceptsPackages", "ReportsPackageStatuses"),
    Column.RESTART: ("AcceptsRestartCommand",),
}
TAKEN = {"Unspecified", "ReportsStatus", "ReportsHeartbeat", "AcceptsRemoteConfig", "ReportsRemoteConfig"}


@pytest.fixture
def agent(world: Cluster, tmp_path: Path) -> Stranger:
    """An agent with a bearer token."""
    return stranger(world, tmp_path)


def test_it_reports(agent: Stranger) -> None:
    """It polls over HTTP with its token, and says what it is."""
    with node_agent(agent) as program:
        row = agent.until_connected(program)
        assert row["identifying"]["service.name"] == "node-agent"
        assert row["attributes"]["process.runtime.name"] == "nodejs"
        assert [event for event in program.events() if event["event"] == "failed"] == []
    saw(Client.NODE, Column.STATUS, "polls over HTTP with a bearer token")
    saw(Client.NODE, Column.DESCRIPTION, "what its program says")


def test_it_applies_what_it_is_told(agent: Stranger) -> None:
    """A good configuration reaches its program; a bad one fails with its words; the next is applied."""
    with node_agent(agent) as program:
        agent.until_connected(program)
        agent.configure({"": ('{"log_level": "debug"}', "application/json")})
        agent.until_configured("applied", "", program)
        assert program.wait_for_event("applied")["settings"] == {"log_level": "debug"}
        saw(Client.NODE, Column.CONFIG_GOOD, "applied by its program; it reports no effective configuration")
        agent.configure({"": ('{"log_volume": 11}', "application/json")})
        agent.until_configured("failed", "unknown setting log_volume", program)
        saw(Client.NODE, Column.CONFIG_BAD, "FAILED with its program's words")
        agent.configure({"": ('{"log_level": "error"}', "application/json")})
        agent.until_configured("applied", "", program)
        hashes = [event["hash"] for event in program.events() if event["event"] in ("applied", "refused")]
        assert len(hashes) == len(set(hashes)) >= 3


def test_revoked_it_is_out(agent: Stranger) -> None:
    """From the moment of its revocation its polls are refused."""
    with node_agent(agent) as program:
        agent.until_connected(program)
        agent.revoke()
        program.wait_for_event(
            "failed", lambda event: "401" in event["error"] or "ECONNRESET" in event["error"]
        )
        agent.until_gone(program)
    saw(Client.NODE, Column.REVOCATION, "its next poll is refused with 401")


def test_it_may_come_with_a_certificate(world: Cluster, tmp_path: Path) -> None:
    """At this version it can present a certificate too, such as one that an operator issued for its key."""
    agent, files = certified(world, tmp_path)
    with node_agent(agent, files) as program:
        assert len(agent.until_connected(program)["serials"]) == 1
        agent.revoke()
        program.wait_for_event("failed", lambda event: "401" in event["error"])
    saw(Client.NODE, Column.STATUS, "polls over HTTP with a certificate that an operator issued")


@pytest.mark.parametrize("column", WANTED)
def test_the_library_refuses_what_it_does_not_support(column: Column) -> None:
    """A client that is to have a capability outside of remote configuration is not even built."""
    program = require(NODE_CLIENT)
    tried = [
        json.loads(line) for line in run([str(program), "capabilities"], cwd=program.parent).splitlines()
    ]
    refused = {one["name"]: one["error"] for one in tried if one["event"] == "refused"}
    assert {one["name"] for one in tried if one["event"] == "taken"} == TAKEN
    assert all("unsupported by this OpAMPClient" in refused[name] for name in WANTED[column])
    names = ", ".join(WANTED[column])
    cannot(Client.NODE, column, f"the library throws when a client is built with {names}")
