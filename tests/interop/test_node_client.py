"""An agent on the published OpAMP client for Node.js: what it does with this server, and what it cannot."""

import json
from pathlib import Path

import pytest

from tests.interop.matrix import Client, Column, cannot
from tests.interop.parts import require, run
from tests.interop.world_parts import NODE_CLIENT

WANTED = {
    Column.HEALTH: ("ReportsHealth",),
    Column.EFFECTIVE: ("ReportsEffectiveConfig",),
    Column.TELEMETRY: ("ReportsOwnMetrics", "ReportsOwnTraces", "ReportsOwnLogs"),
    Column.CONNECTION: ("AcceptsOpAMPConnectionSettings", "AcceptsOtherConnectionSettings"),
    Column.PACKAGES: ("AcceptsPackages", "ReportsPackageStatuses"),
    Column.RESTART: ("AcceptsRestartCommand",),
    Column.ROTATION: ("AcceptsOpAMPConnectionSettings",),
}


@pytest.fixture(scope="module")
def node_client() -> Path:
    """An agent of ours on the published client library for Node.js."""
    return require(NODE_CLIENT)


@pytest.mark.parametrize("column", WANTED)
def test_the_library_refuses_what_it_does_not_support(node_client: Path, column: Column) -> None:
    """A client that is to have a capability outside of remote configuration is not even built."""
    tried = [
        json.loads(line)
        for line in run([str(node_client), "capabilities"], cwd=node_client.parent).splitlines()
    ]
    refused = {one["name"]: one["error"] for one in tried if one["event"] == "refused"}
    assert {one["name"] for one in tried if one["event"] == "taken"} == {
        "Unspecified",
        "ReportsStatus",
        "ReportsHeartbeat",
        "AcceptsRemoteConfig",
        "ReportsRemoteConfig",
    }
    assert all("unsupported by this OpAMPClient" in refused[name] for name in WANTED[column])
    names = ", ".join(WANTED[column])
    cannot(Client.NODE, column, f"the library throws when a client is built with {names}")
