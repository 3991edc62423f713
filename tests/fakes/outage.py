"""A fleet that talks to a real server while its database is away: what holds meanwhile, and afterwards."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import httpx
import pytest
from opamp.v1 import opamp_pb2

from distribution.demo.cluster import Cluster
from tests.fakes.fleet_abroad import Abroad, Away, Talking

AGENTS = 10
PROMPT_SECONDS = 5.0
"""How long an answer may take while the database is away, on a machine that is far too busy."""

HEAL_SECONDS = 60.0
NEWS = "news of the outage"
"""An agent's status, which comes while nothing can be written."""


@dataclass(frozen=True)
class Outage:
    """One way for a database to be away. `reads` says whether it can still be read from."""

    cluster: Cluster
    happening: Callable[[], AbstractContextManager[None]]
    kept: Callable[[Abroad], bool]
    """Whether the database itself has the agent's news."""
    reads: bool


async def until(what: str, holds: Callable[[], object]) -> None:
    """Wait until something of the API holds."""
    began = time.monotonic()
    while not await asyncio.to_thread(holds):
        assert time.monotonic() - began < HEAL_SECONDS, what
        await asyncio.sleep(0.1)


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


async def while_away(outage: Outage, away: Away, agents: list[Abroad], talking: Talking, token: str) -> None:
    """What holds while nothing can be written."""
    cluster = outage.cluster
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
    if outage.reads:
        assert len(cluster.get("/api/v1/agents")["agents"]) == AGENTS
    else:
        require_come_again(await asyncio.to_thread(api.get, "/api/v1/agents"))
    agents[0].says = opamp_pb2.ComponentHealth(healthy=True, status=NEWS)
    await talking.until_each_has(2)
    if outage.reads:
        await until("the news in memory", lambda: status_of(cluster, agents[0]) == NEWS)


async def story(outage: Outage, seconds: float, progress: Callable[[int], None]) -> None:
    """Let a fleet talk through an outage of so many seconds; `progress` is told how many of them are over."""
    cluster = outage.cluster
    away = Away(cluster, cluster.root / "abroad")
    agents = await away.enroll(cluster.create_token(uses=AGENTS), AGENTS)
    token = cluster.create_token(uses=1)
    talking = Talking(away, agents, pause=0.1)
    talking.start()
    await talking.until_each_has(3)
    began = time.monotonic()
    with outage.happening():
        await while_away(outage, away, agents, talking, token)
        while time.monotonic() - began < seconds:
            await talking.until_each_has(1)
            progress(int(time.monotonic() - began))
        if outage.reads:
            assert not outage.kept(agents[0])
    await until("ready again", lambda: readiness(cluster) == (200, "ok"))
    await until("the news in the database", lambda: outage.kept(agents[0]))
    await away.enroll(token, 1, first=AGENTS + 1)  # its one use was not consumed
    await asyncio.to_thread(cluster.create_token, uses=1)
    await talking.until_each_has(2)
    assert {(one.unanswered, len(one.endings)) for one in agents} == {(0, 0)}
    await talking.stop()
    assert cluster.api().post("/api/v1/journal/verify").status_code == 200
