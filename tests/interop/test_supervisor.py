"""The upstream supervisor with a real collector: what it reports, takes, and must be spared."""

import os
import signal
from pathlib import Path

import pytest

from distribution.demo.cluster import Cluster
from tests.interop import matrix
from tests.interop.collector_host import CollectorHost, a_host, supervised, well
from tests.interop.fleet import start_server_again
from tests.interop.go_agent import Row, row_of, settled, until
from tests.interop.matrix import Client, Column
from tests.interop.orders import label, restart, setting
from tests.interop.programs import wait_for

SUPERVISOR = Client.SUPERVISOR
REFUSES = "must include both certificate and key"
KEPT = ("identifying", "attributes", "labels", "components", "effective", "serials")
UNABLE = {"accepts_packages", "reports_package_statuses", "reports_connection_status"}


@pytest.fixture(scope="module")
def host(world: Cluster, tmp_path_factory: pytest.TempPathFactory) -> CollectorHost:
    """A host whose certificate an operator gave for a request in a file."""
    return a_host(world, tmp_path_factory.mktemp("supervisor"), "--label", "stage=supervisor")


def offered(row: Row) -> Row | None:
    """Find an agent that was offered connection settings and says nothing of them."""
    return row if row["connections"] and row["connections"]["state"] == "unset" else None


def shown(row: Row) -> Row | None:
    """Find an agent whose effective configuration and components were looked at: later than its health."""
    return row if row["effective"] and row["components"] else None


def gone(row: Row) -> Row | None:
    """Find an agent that is not connected."""
    return None if row["connected"] else row


def test_it_is_known(world: Cluster, host: CollectorHost) -> None:
    """It comes with an operator's certificate; what it and its collector say is at the server; both end."""
    with host.supervisor("known.log") as supervisor:
        row = supervised(world, host, supervisor)
        assert not UNABLE & set(row["capabilities"])
        assert {"accepts_remote_config", "accepts_connection_settings"} <= set(row["capabilities"])
        matrix.saw(
            SUPERVISOR, Column.STATUS, "connected by an operator's certificate for a request in a file"
        )
        assert row["identifying"]["service.version"] == "1.0.0"
        assert row["platform"] == "linux-amd64"
        matrix.saw(SUPERVISOR, Column.DESCRIPTION, "its collector's attributes, platform")
        assert row["health"]["components"]["extensions"]["components"]["extension:opamp"]["healthy"]
        matrix.saw(SUPERVISOR, Column.HEALTH, "of its collector and each component")
        assert until(world, host.uid, "what it runs", shown, supervisor)["effective"]["digest"]
        assert len(host.running(supervisor)) == 1
        supervisor.end()
        assert host.collectors() == []


def test_killed_it_leaves_its_collector(world: Cluster, host: CollectorHost) -> None:
    """Killed hard, it leaves its collector running; the collector notices and ends, or the host ends it."""
    with host.supervisor("killed.log") as supervisor:
        supervised(world, host, supervisor)
        collector = host.running(supervisor)
        for pid in collector:
            os.kill(pid, signal.SIGSTOP)  # it might notice, and end, before anybody has looked
        supervisor.signal(signal.SIGKILL)
        wait_for("its end", supervisor.gone, alive=lambda: None)
        assert host.collectors() == collector
        for pid in collector:
            os.kill(pid, signal.SIGCONT)
        wait_for("its collector's end", lambda: not host.collectors() or None, alive=lambda: None)


def test_packages_are_not_its_own(host: CollectorHost) -> None:
    """Told to accept packages it does not even start."""
    with host.supervisor("packages.log", "accepts_packages") as supervisor:
        said = wait_for("its end", supervisor.gone, alive=lambda: None)
        assert "accepts_packages" in said
    matrix.cannot(
        SUPERVISOR, Column.PACKAGES, "ends at once when its file says accepts_packages: unknown key"
    )


def test_a_new_certificate_by_file(world: Cluster, host: CollectorHost) -> None:
    """Its next certificate is a file as well; started with it, it ends the old one."""
    with host.supervisor("before.log") as supervisor:
        before = supervised(world, host, supervisor)["serials"]
    host.certify(world)
    assert len(row_of(world, host.uid)["serials"]) == 2
    with host.supervisor("after.log") as supervisor:

        def promoted(row: Row) -> Row | None:
            return row if well(row) and len(row["serials"]) == 1 and row["serials"] != before else None

        until(world, host.uid, "the new serial alone", promoted, supervisor)
    matrix.saw(SUPERVISOR, Column.ROTATION, "files replaced by an operator's next certificate, then a start")


def test_it_restarts_its_collector_on_command(world: Cluster, host: CollectorHost) -> None:
    """Told to restart, it ends its collector and starts another one; it is told once."""
    with host.supervisor("restart.log") as supervisor:
        supervised(world, host, supervisor)
        before = host.running(supervisor)
        restart(world, host.uid)

        assert not set(host.running(supervisor, times=2)) & set(before)
        until(world, host.uid, "a healthy collector", well, supervisor)
    matrix.saw(SUPERVISOR, Column.RESTART, "its collector is ended and started anew")


def test_it_comes_again_after_the_server_was_away(world: Cluster, host: CollectorHost) -> None:
    """A server that is started anew knows it as before; its collector runs on meanwhile.

    A heartbeat that it refused without a word is not offered to it once more.
    """
    label(world, host.uid)
    with host.supervisor("again.log") as supervisor, setting(world, host.uid, "opamp", heartbeat_seconds=9):
        supervised(world, host, supervisor)
        supervisor.wait_for_text(REFUSES)
        until(world, host.uid, "that it was offered it", offered, supervisor)
        before = settled(world, host.uid, KEPT, supervisor)
        running = host.running(supervisor)
        world.server.stop()
        supervisor.wait_for_text("Failed to connect to the server")
        start_server_again(world)
        known = row_of(world, host.uid)
        assert {kept: known[kept] for kept in KEPT} == {kept: before[kept] for kept in KEPT}
        until(world, host.uid, "the supervisor again", well, supervisor)
        assert host.collectors() == running
        assert "it was sent them" in world.get(f"/api/v1/agents/{host.uid}/explain")["why"][-1]
        restart(world, host.uid)  # what else was offered came before this
        until(world, host.uid, "another", lambda _: set(host.collectors()) - set(running) or None, supervisor)
        assert supervisor.text().count(REFUSES) == 1
    matrix.saw(
        SUPERVISOR, Column.RECONNECT, "comes back by itself, known as before; its collector never stopped"
    )


def test_revoked_it_is_out(world: Cluster, tmp_path: Path) -> None:
    """Its connection is cut at once, and it is refused from then on; its collector is left in peace."""
    host = a_host(world, tmp_path)
    with host.supervisor("revoked.log") as supervisor:
        supervised(world, host, supervisor)
        running = host.collectors()
        assert world.revoke(host.uid)["connections_cut"] == 1
        supervisor.wait_for_text("401")
        until(world, host.uid, "its end", gone, supervisor)
        assert host.collectors() == running
    matrix.saw(SUPERVISOR, Column.REVOCATION, "cut at once, refused with 401; its collector runs on")
