"""A real collector whose opampextension speaks to the server alone: it reports, and takes hardly anything."""

import re
import signal
from pathlib import Path
from uuid import UUID

import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.processes import wait_for
from tests.interop import matrix
from tests.interop.collector_host import SECRET, CollectorHost, a_host, ready, well
from tests.interop.fleet import CHANNEL, start_server_again
from tests.interop.go_agent import Row, row_of, settled, until
from tests.interop.matrix import Client, Column
from tests.interop.orders import PATIENCE_SECONDS, Configuration, exchanges, label, restart, setting
from tests.interop.strangers import stranger

EXTENSION = Client.EXTENSION
CAPABILITIES = {
    "reports_status",
    "reports_effective_config",
    "reports_health",
    "reports_components",
    "accepts_restart",
}

KEPT = ("identifying", "attributes", "labels", "components", "effective", "serials")
CANNOT = {
    Column.CONFIG_GOOD: "accepts_remote_config",
    Column.CONFIG_BAD: "accepts_remote_config",
    Column.TELEMETRY: "reports_own_metrics",
    Column.CONNECTION: "accepts_connection_settings",
    Column.PACKAGES: "accepts_packages",
}


@pytest.fixture(scope="module")
def host(world: Cluster, tmp_path_factory: pytest.TempPathFactory) -> CollectorHost:
    """A host whose certificate an operator gave for a request in a file."""
    return a_host(world, tmp_path_factory.mktemp("extension"), "--label", "stage=extension")


def shown(row: Row) -> Row | None:
    """Find an agent whose effective configuration and components were looked at: later than its health."""
    return row if row["effective"] and row["components"] else None


def gone(row: Row) -> Row | None:
    """Find an agent that is not connected."""
    return None if row["connected"] else row


def test_it_is_known(world: Cluster, host: CollectorHost) -> None:
    """It comes with an operator's certificate; what it is, and how it and its parts are, is at the server."""
    with host.collector("known.log") as collector:
        row = ready(world, host, collector)
        assert set(row["capabilities"]) == CAPABILITIES
        matrix.saw(EXTENSION, Column.STATUS, "connected by an operator's certificate for a request in a file")
        assert row["identifying"]["service.name"] == "otelcol"
        assert row["identifying"]["service.version"] == "1.0.0"
        assert row["platform"] == "linux-amd64"
        matrix.saw(EXTENSION, Column.DESCRIPTION, "identifying and other attributes, platform")
        parts = row["health"]["components"]
        assert parts["pipeline:traces"]["components"]["exporter:nop"]["healthy"]
        assert parts["extensions"]["components"]["extension:opamp"]["healthy"]
        matrix.saw(EXTENSION, Column.HEALTH, "of the collector, its pipelines and each component")
        row = until(world, host.uid, "what it runs", shown, collector)
        assert re.fullmatch("[0-9a-f]{64}", row["effective"]["digest"])
        path = f"/api/v1/agents/{host.uid}/configuration"
        found = wait_for("it", lambda: world.get(path)["effective"], PATIENCE_SECONDS, collector.text)
        [one] = found["objects"]
        assert (one["key"], SECRET in str(found)) == ("", False)
        assert "[REDACTED]" in one["body"]
    matrix.saw(EXTENSION, Column.EFFECTIVE, "one text under the empty key, kept and shown without secrets")
    for log in world.logs.iterdir():
        assert SECRET not in log.read_text(encoding="utf-8", errors="replace")


def test_what_it_cannot_it_is_not_offered(world: Cluster, host: CollectorHost) -> None:
    """Something of each kind is assigned to it: it is told of none, though it is spoken to meanwhile."""
    label(world, host.uid)
    configuration = Configuration(world, host.uid)
    configuration.assign(configuration.write("receivers: {nop: }\n"))
    world.set_channel(CHANNEL, "1.0.0", "--allow-downgrade")
    with (
        setting(world, host.uid, "own_metrics", endpoint="https://otlp.example:4318/v1/metrics"),
        setting(world, host.uid, "opamp", heartbeat_seconds=2),
        host.collector("offers.log") as collector,
    ):
        ready(world, host, collector)
        restart(world, host.uid)
        collector.wait_for_text("Config updated, restart service")
        row = ready(world, host, collector, times=2)
        why = world.get(f"/api/v1/agents/{host.uid}/explain")["why"]
    assert [line.partition(": nothing is offered")[1] != "" for line in why] == [True] * 3
    assert [line.partition(":")[0] for line in why] == ["packages", "configuration", "connection settings"]
    assert all(f"{kind}-{host.uid}" in why[2] for kind in ("opamp", "own-metrics"))
    went = {word for line in exchanges(world, host.uid) for word in line.get("went", "").split()}
    assert went == {"greeting", "report_components", "nothing", "restart"}
    assert set(row["capabilities"]) == CAPABILITIES
    for column, capability in CANNOT.items():
        assert capability not in row["capabilities"]
        matrix.cannot(
            EXTENSION, column, f"does not claim the capability {capability}, and is offered nothing"
        )


def test_with_a_token_it_takes_the_uid_it_is_told(world: Cluster, tmp_path: Path) -> None:
    """It makes up an instance uid, and speaks under its agent's from the moment it is told that."""
    agent = stranger(world, tmp_path)
    (tmp_path / "ca.pem").write_bytes(agent.ca.read_bytes())
    host = CollectorHost(agent.uid, tmp_path, agent.url("wss"))
    with host.collector("token.log", agent.token) as collector:
        row = ready(world, host, collector)
        own = row["identifying"]["service.instance.id"]
        assert UUID(own).version == 4

        def names(_: Row) -> list[object] | None:
            found = [line.get("calls_itself") for line in exchanges(world, agent.uid)]
            return found if None in found else None

        said = until(world, agent.uid, "a message under the uid that it was told", names, collector)
        told = said.index(None)
        assert (set(said[:told]), set(said[told:])) == ({own}, {None})
        until(world, agent.uid, "its components", lambda row: row["components"], collector)
    matrix.saw(EXTENSION, Column.STATUS, "with a bearer token too, under the uid that it is told")


def test_a_new_certificate_by_file(world: Cluster, host: CollectorHost) -> None:
    """Its next certificate is a file as well; reloaded it comes with it, and that ends the old one."""
    with host.collector("rotation.log") as collector:
        before = ready(world, host, collector)["serials"]
        host.certify(world)
        assert len(row_of(world, host.uid)["serials"]) == 2
        collector.signal(signal.SIGHUP)

        def promoted(row: Row) -> Row | None:
            return row if well(row) and len(row["serials"]) == 1 and row["serials"] != before else None

        until(world, host.uid, "the new serial alone", promoted, collector)
    matrix.saw(EXTENSION, Column.ROTATION, "files replaced by an operator's next certificate, then a reload")


def test_it_restarts_on_command(world: Cluster, host: CollectorHost) -> None:
    """With the feature gate that it needs, it reads its configuration anew when it is told to."""
    with host.collector("restart.log") as collector:
        ready(world, host, collector)
        restart(world, host.uid)
        collector.wait_for_text("received restart command")
        collector.wait_for_text("Config updated, restart service")
        ready(world, host, collector, times=2)
        assert collector.text().count("received restart command") == 1
    matrix.saw(EXTENSION, Column.RESTART, "with its feature gate RemoteRestarts: reloads, once")


def test_it_comes_again_after_the_server_was_away(world: Cluster, host: CollectorHost) -> None:
    """A server that is started anew knows it as before, and it comes back by itself."""
    with host.collector("again.log") as collector:
        ready(world, host, collector)
        before = settled(world, host.uid, KEPT, collector)
        world.server.stop()
        collector.wait_for_text("Failed to connect")
        start_server_again(world)
        known = row_of(world, host.uid)
        assert {kept: known[kept] for kept in KEPT} == {kept: before[kept] for kept in KEPT}
        until(world, host.uid, "the collector again", well, collector)
    matrix.saw(EXTENSION, Column.RECONNECT, "comes back by itself, known as before")


def test_revoked_it_is_out(world: Cluster, tmp_path: Path) -> None:
    """Its connection is cut at once, and it is refused from then on."""
    host = a_host(world, tmp_path)
    with host.collector("revoked.log") as collector:
        ready(world, host, collector)
        assert world.revoke(host.uid)["connections_cut"] == 1
        collector.wait_for_text("401")
        until(world, host.uid, "its end", gone, collector)
    matrix.saw(EXTENSION, Column.REVOCATION, "cut at once, refused with 401 from then on")
