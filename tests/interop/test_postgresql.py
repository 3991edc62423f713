"""Everything that is promised of the database holds on a real PostgreSQL, and a whole server runs on one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import create_engine

from distribution.demo.cluster import Cluster
from distribution.demo.places import ObjectsAt
from distribution.demo.processes import wait_for
from distribution.demo.releases import write_releases
from distribution.demo.watching import connected, installed, watch
from tests.fakes import postgres
from tests.interop.fleet import CHANNEL, PATIENCE_SECONDS, installation, start_server_again
from tests.interop.parts import install_debian

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 1200
SUITES = {
    "contract": ("tests/contract", "-k", "postgresql"),
    "fleet": ("tests/unit/fleet",),
    "keys": tuple(
        f"tests/unit/keys/test_{name}.py"
        for name in ("ledger", "authority", "issuance", "revocation", "tokens", "refusals", "admission")
    ),
    "flows": ("tests/unit/flows", "tests/flows/test_addons.py"),
    "operators": ("tests/unit/transport/operators", "tests/unit/cli/test_commands.py"),
    "attacks": ("tests/attacks/test_tokens.py", "tests/attacks/test_revoked.py"),
}
"""Which tests of ours run again, with PostgreSQL for their database."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server of our own."""
    try:
        postgres.programs()
    except postgres.NoPostgresError:
        install_debian("postgresql")
    with postgres.serving() as url:
        yield url


def transactions(url: str) -> int:
    """Return how many transactions the server has committed."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT sum(xact_commit) FROM pg_stat_database").scalar_one()
    finally:
        engine.dispose()
    return int(found)


@pytest.mark.parametrize("suite", SUITES)
def test_the_suite_holds_on_postgresql(server: str, tmp_path: Path, suite: str) -> None:
    """Every case of it passes, and it was PostgreSQL that they ran on."""
    report, before = tmp_path / "report.xml", transactions(server)
    command = [sys.executable, "-m", "pytest", *SUITES[suite], "-q", f"--junitxml={report}"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-n", "2", "--dist", "worksteal"],
        cwd=ROOT,
        env={**os.environ, "QM_TEST_POSTGRES_URL": server, "QM_TEST_UNITS_ON": "postgresql"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    cases = len(list(ET.parse(report).iter("testcase")))
    assert transactions(server) - before > cases > 0


def test_a_whole_server_runs_on_postgresql(server: str, tmp_path: Path) -> None:
    """An agent enrolls, installs its release, is found after a restart, is revoked; the journal is whole."""
    [release] = write_releases(tmp_path / "programs", ("1.0.0",), lambda _line: None).values()
    with installation(tmp_path, ObjectsAt(), {release.version: release.file}, server) as cluster:
        assert not (cluster.server_folder / "quartermaster.db").exists()
        cluster.set_channel(CHANNEL, release.version)
        agent = cluster.add_agent("one", "ws")
        cluster.enroll(agent, cluster.create_token(uses=1))
        agent.program.start()
        watch(cluster, "one", "the release", lambda row: installed(row, release.version))
        told = cluster.quartermaster("agents", "watch", agent.uid, "--count", "4", "--json").splitlines()
        shown = [json.loads(line)["direction"] for line in told]
        assert shown == ["watching", *2 * ["from agent", "to agent"]]
        assert "nothing is due, because it has what it is to have" in cluster.quartermaster(
            "agents", "explain", agent.uid
        )
        cluster.server.stop()
        start_server_again(cluster)
        watch(cluster, "one", "its return", connected)
        found = wait_for(
            "the agent in a list", lambda: listed(cluster), PATIENCE_SECONDS, cluster.server.tail
        )
        assert [row["uid"] for row in found] == [agent.uid]
        assert cluster.revoke(agent.uid)["connections_cut"] == 1
        gone = wait_for("its end", lambda: away(cluster), PATIENCE_SECONDS, cluster.server.tail)
        assert gone["serials"] == []
        assert "journal is whole" in cluster.quartermaster("audit", "verify")
        kinds = {entry["kind"] for entry in cluster.journal()}
    assert {"token.created", "package.installed", "agent.revoked", "connection.cut"} <= kinds


def listed(cluster: Cluster) -> list[dict[str, Any]] | None:
    query = "attribute=os.type=linux&platform=linux-amd64&live=connected&health=healthy"
    return cluster.get(f"/api/v1/agents?{query}")["agents"] or None


def away(cluster: Cluster) -> Mapping[str, Any] | None:
    row = cluster.agent_row("one")
    return None if row["connected"] else row
