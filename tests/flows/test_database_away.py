"""The database of a real server is locked by somebody else: agents stay, nothing false is said, it heals.

For 12 seconds in `make test`, 20 in `.ci/run`, a minute in `make soak`.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from opamp.v1 import opamp_pb2

from distribution.demo.cluster import Cluster
from distribution.demo.places import ObjectsAt
from tests.fakes.fleet_abroad import Abroad, Away, Talking

AGENTS = 10
PROMPT_SECONDS = 5.0
"""How long an answer may take while the database is away, on a machine that is far too busy."""

HEAL_SECONDS = 20.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with contextlib.closing(Cluster(tmp_path / "cluster", ObjectsAt())) as cluster:
        cluster.init(single=True)
        cluster.start_server()
        yield cluster
        cluster.api().close()


@contextlib.contextmanager
def locked(cluster: Cluster) -> Iterator[None]:
    """Hold the database's one place for writers, as a stray program would."""
    with contextlib.closing(sqlite3.connect(cluster.server_folder / "quartermaster.db", timeout=30)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.rollback()


async def until(what: str, holds: Callable[[], object]) -> None:
    """Wait until something of the API holds."""
    began = time.monotonic()
    while not await asyncio.to_thread(holds):
        assert time.monotonic() - began < HEAL_SECONDS, what
        await asyncio.sleep(0.1)


def open_files(pid: int) -> list[str]:
    """Return what the process has open, by name."""
    return [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()]


def readiness(cluster: Cluster) -> tuple[int, str]:
    """Return the status of `/readyz`, and what it says of the database."""
    answer = cluster.api().get("/readyz")
    return answer.status_code, answer.json()["checks"]["database"]


def require_come_again(answer: httpx.Response) -> None:
    """A change is refused at once, and the client is told when to come again."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.elapsed.total_seconds() < PROMPT_SECONDS


def status_of(cluster: Cluster, one: Abroad) -> str:
    """Return how an agent's health is known by the operators' API."""
    health = cluster.get(f"/api/v1/agents/{one.who}")["health"]
    return "" if health is None else str(health["status"])


def kept_status(cluster: Cluster, one: Abroad) -> bool:
    """Whether the database file itself has the agent's news."""
    with contextlib.closing(sqlite3.connect(cluster.server_folder / "quartermaster.db")) as other:
        [row] = other.execute("SELECT * FROM agents WHERE uid = ?", (str(one.who),)).fetchall()
    return any("news of the outage" in str(column) for column in row)


async def while_away(
    cluster: Cluster, away: Away, agents: list[Abroad], talking: Talking, token: str
) -> None:
    """What holds while nothing can be written."""
    await until("not ready", lambda: readiness(cluster) == (503, "failed"))
    await talking.until_each_has(5)
    api = cluster.api()
    for change in (
        "/api/v1/enrollment-tokens",
        "/api/v1/operators",
        f"/api/v1/agents/{agents[0].who}/revoke",
    ):
        require_come_again(await asyncio.to_thread(api.post, change, json={}))
    with pytest.raises(httpx.HTTPStatusError) as refused:
        await away.enroll(token, 1, first=AGENTS + 1)
    require_come_again(refused.value.response)
    assert len(cluster.get("/api/v1/agents")["agents"]) == AGENTS
    agents[0].says = opamp_pb2.ComponentHealth(healthy=True, status="news of the outage")
    await talking.until_each_has(2)
    await until("the news in memory", lambda: status_of(cluster, agents[0]) == "news of the outage")


async def story(cluster: Cluster, seconds: float) -> None:
    away = Away(cluster, cluster.root / "abroad")
    agents = await away.enroll(cluster.create_token(uses=AGENTS), AGENTS)
    token = cluster.create_token(uses=1)
    talking = Talking(away, agents, pause=0.1)
    talking.start()
    await talking.until_each_has(3)
    began = time.monotonic()
    with locked(cluster):
        await while_away(cluster, away, agents, talking, token)
        while time.monotonic() - began < seconds:
            await talking.until_each_has(1)
        assert not kept_status(cluster, agents[0])
    await until("ready again", lambda: readiness(cluster) == (200, "ok"))
    await until("the news in the database", lambda: kept_status(cluster, agents[0]))
    await away.enroll(token, 1, first=AGENTS + 1)  # its one use was not consumed
    await asyncio.to_thread(cluster.create_token, uses=1)
    await talking.until_each_has(2)
    # Whoever looked into the database and left did not take its log away.
    assert not [name for name in open_files(cluster.server.pid) if name.endswith("(deleted)")]
    assert {(one.unanswered, len(one.endings)) for one in agents} == {(0, 0)}
    await talking.stop()
    assert cluster.api().post("/api/v1/journal/verify").status_code == 200


@pytest.mark.rounds(12, 20, 60)
def test_the_database_is_away(cluster: Cluster, rounds: int) -> None:
    """No agent is sent away, no change acknowledged, status stays in memory, and all goes on by itself."""
    asyncio.run(asyncio.wait_for(story(cluster, rounds), 240 + rounds))
