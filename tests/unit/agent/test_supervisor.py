"""Covers distribution/agent/supervisor.py and cli.py: the agent as a process, against the real listener."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.agent import supervisor
from distribution.agent.process import _start_time, alive
from distribution.agent.store import Store
from keys.identity import AgentId
from keys.trust import encode_token
from tests.fakes.agent_process import HOST, Process, agent, enroll, offer_of, runs
from tests.fakes.authority import SECRET
from tests.fakes.besieged_agent import wait_until
from tests.fakes.served_fleet import ServedFleet, served_fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    with served_fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "host"
    folder.mkdir()
    yield folder
    left = alive(folder / "program.json")
    if left is not None:
        os.killpg(left, signal.SIGKILL)


@pytest.mark.parametrize("transport", ["ws", "http"])
def test_an_agents_life(fleet: ServedFleet, host: Path, transport: str) -> None:
    """Enrolled, upgraded, killed, found again with its program, downgraded, stopped: on each transport."""
    who = enroll(fleet, host, transport, f"life-{transport}")
    fleet.offer(offer_of(fleet, "1.0.0"))
    first = Process(host)
    try:
        wait_until(lambda: runs(fleet, who, "1.0.0"))
        assert fleet.view(who).platform == "linux-amd64"
        fleet.offer(offer_of(fleet, "1.1.0"))
        wait_until(lambda: runs(fleet, who, "1.1.0"))
        left = alive(host / "program.json")
    finally:
        first.kill()
    assert left is not None
    assert alive(host / "program.json") == left
    fleet.offer(offer_of(fleet, "1.0.0", downgrade=True))
    second = Process(host)
    try:
        wait_until(lambda: runs(fleet, who, "1.0.0"))
        assert _start_time(left) is None
        assert alive(host / "program.json") is not None
        assert "in use by the agent with pid" in agent("run", "--dir", host).stderr
        shown = json.loads(agent("status", "--dir", host, "--json").stdout)
        assert (shown["agent_pid"], shown["healthy"]) == (second.child.pid, {"collector": "1.0.0"})
        assert shown["instance_uid"] == str(who)
    finally:
        assert second.stop() == 0
    assert alive(host / "program.json") is None
    assert Store(host).load().healthy["collector"].version.text == "1.0.0"
    wait_until(lambda: not fleet.view(who).connected)


def test_a_server_that_is_gone_stops_nothing(fleet: ServedFleet, host: Path, tmp_path: Path) -> None:
    """Without a server the program runs on, and a program that crashes is started again."""
    (tmp_path / "gone").mkdir()
    with served_fleet(tmp_path / "gone") as other:
        who = enroll(other, host, "ws", "gone")
        other.offer(offer_of(other, "1.0.0"))
        process = Process(host)
        try:
            wait_until(lambda: runs(other, who, "1.0.0"))
        except BaseException:
            process.kill()
            raise
    try:
        before = alive(host / "program.json")
        assert before is not None
        os.killpg(before, signal.SIGKILL)
        wait_until(lambda: alive(host / "program.json") not in (None, before))
    finally:
        assert process.stop() == 0


def test_a_second_enrollment_changes_nothing(fleet: ServedFleet, host: Path) -> None:
    """The same host enrolled again keeps its identity and consumes no token."""
    who = enroll(fleet, host, "ws", "twice")
    done = agent("enroll", fleet.token("unused"), "--dir", host, "--json")
    assert json.loads(done.stdout)["already"]
    assert AgentId.parse(json.loads(done.stdout)["instance_uid"]) == who
    assert fleet.here.work.token_state("unused").used == 0


def test_a_spent_token_is_refused_by_name(fleet: ServedFleet, host: Path, tmp_path: Path) -> None:
    """A token that another host used up ends the enrollment, and says why."""
    enroll(fleet, host, "ws", "spent")
    assert fleet.here.work.token_state("spent").used == 1
    other = tmp_path / "other"
    other.mkdir()
    done = agent("enroll", encode_token(fleet.trust, "spent", SECRET), "--dir", other)
    assert done.returncode == 1
    assert "spent" in done.stderr
    assert SECRET not in done.stderr


def test_an_agent_that_was_not_enrolled_says_so(host: Path) -> None:
    """Running before enrolling is an error with the remedy in it; so is a token that is none."""
    (host / "agent.toml").write_text(HOST.format(transport="ws"))
    done = agent("run", "--dir", host)
    assert (done.returncode, "is not enrolled; run `quartermaster-agent enroll` first" in done.stderr) == (
        1,
        True,
    )
    done = agent("enroll", "qm1.x", "--dir", host)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("is not of the form qm1.<payload>.<checksum>")
    shown = agent("status", "--dir", host)
    assert "enrolled         False" in shown.stdout


class Hanging:
    """A client whose server never answers."""

    def __init__(self) -> None:
        self.cancelled = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def told_to_stop(self) -> None:
        return


def test_a_server_that_does_not_answer_does_not_keep_a_stopping_agent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told to stop, the agent says goodbye for a moment and then ends."""
    monkeypatch.setattr(supervisor, "_GOODBYE_SECONDS", 0.01)
    client = Hanging()
    asyncio.run(supervisor._run_and_stop(client))  # type: ignore[arg-type]
    assert client.cancelled


def test_the_agent_loads_nothing_of_the_server() -> None:
    """Importing the agent's command line brings in no part and no library of the server."""
    script = """
import sys
import distribution.agent.cli
server = {"sqlalchemy", "alembic", "boto3", "botocore", "starlette", "uvicorn", "uvloop", "httptools",
          "pydantic", "httpx", "psycopg", "prometheus_client", "storage"}
rooms = ("distribution.transport", "distribution.flows", "distribution.fleet", "distribution.catalog",
         "distribution.pipeline", "distribution.compose", "distribution.settings", "keys.authority",
         "keys.custody", "keys.ledger", "keys.ceremony", "keys.admission")
print(sorted(name for name in sys.modules if name.split(".")[0] in server or name.startswith(rooms)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
