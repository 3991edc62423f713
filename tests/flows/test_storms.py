"""Storms of every kind against a real server: it holds no more afterwards than before, and goes on serving.

40 connections of each kind in `make test`, 500 in `.ci/run`, 20,000 in `make soak`.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.places import ObjectsAt
from distribution.transport.arrivals import FRUITLESS
from distribution.transport.exchange_log import LINES
from tests.fakes import storms
from tests.fakes.bare_listener import Bare, bare_listener
from tests.fakes.fleet_abroad import Abroad, Away, Talking
from tests.fakes.held import Held, settled
from tests.fakes.storms import Gust, storm

GROWTH_BYTES = 24 << 20
"""What the process may have grown by after each kind has been through once more: caches and fragments."""

OTHER_LINES_MOST = 200
"""Log lines of a whole run but those of refusals, however many connections there were."""

CLOCK_LINES = 2
"""What a rounded clock may hide of the bound on refusals."""

TIMES = 12
"""How often a connection of a storm comes: each of six kinds, twice."""

BURST = int(FRUITLESS.burst)
TRIES_A_SECOND = 150
"""How often the Kubernetes bridge comes where it is sent away."""

ACCEPTED_MOST = 2.0
"""What a connection without a word may cost, by what it costs a listener that only accepts; under a half."""

LOOP_MOST = 0.75
"""What a client in a loop may cost in all, by what a listener that only accepts pays where the bridge comes
to it: a third of it, most of which is what the server does anyway."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with contextlib.closing(Cluster(tmp_path / "cluster", ObjectsAt())) as cluster:
        cluster.init(single=True)
        yield cluster
        cluster.api().close()


async def blow(away: Away, one: Abroad, held: Held, count: int, tell: Callable[[int], None]) -> None:
    """Let each kind come, and say what a connection of it cost."""
    kinds: tuple[tuple[Gust, bool], ...] = (
        (storms.silent, False),
        (storms.garbage, False),
        (storms.half_hello, False),
        (storms.greeted, False),
        (storms.refused, False),
        (storms.upgraded, True),
    )
    for gust, known in kinds:
        tls, before = away.tls(one if known else None), held.cpu()
        await storm(away, gust, tls, count)
        tell(count)
        cost = (held.cpu() - before) / count * 1e6
        sys.stdout.write(f"{gust.__name__}: {cost:.0f} us of the server's CPU a connection\n")


def require_short(log: list[dict[str, str]]) -> None:
    """Refusals are told at the rate that is stated for them, at any moment; of all else there is little."""
    told = [line["at"] for line in log if line["message"] == "exchange refused"]
    assert len(log) - len(told) < OTHER_LINES_MOST
    moments = [datetime.fromisoformat(at).timestamp() for at in told]
    left = LINES.burst
    for before, at in pairwise([moments[0], *moments]):
        left = min(LINES.burst, left + (at - before) * LINES.per_second) - 1
        assert left > -CLOCK_LINES, at


async def story(cluster: Cluster, count: int, progress: Callable[[int], None]) -> None:
    came = 0

    def tell(more: int) -> None:
        nonlocal came
        came += more
        progress(came // TIMES)

    away, held = Away(cluster, cluster.root / "abroad"), Held(cluster.server.pid)
    # The third is the one whose program runs amok: of two connections by one certificate one gives way.
    *agents, amok = await away.enroll(cluster.create_token(uses=3), 3)
    talking = Talking(away, agents, pause=0.02)
    talking.start()
    await talking.until_each_has(3)
    files = held.files()
    await blow(away, amok, held, count, tell)
    await settled(held, files)
    grown_from = held.bytes()
    await blow(away, amok, held, count, tell)
    await settled(held, files)
    assert held.bytes() - grown_from < GROWTH_BYTES
    await talking.until_each_has(3)
    assert [one.unanswered for one in agents] == [0, 0]
    await talking.stop()
    log = [json.loads(line) for line in (cluster.logs / "server.log").read_text().splitlines()]
    require_short(log)
    assert {line["level"] for line in log} <= {"info", "warning"}


@pytest.mark.rounds(40, 500, 20_000)
def test_storms_leave_nothing_behind(cluster: Cluster, rounds: int, progress: Callable[[int], None]) -> None:
    """Memory and files are as before, agents are answered throughout, the log stays short."""
    settings = cluster.settings_file.read_text()
    cluster.settings_file.write_text(f"{settings}\n[limits]\nfruitless_handshakes_per_second = 1000000\n")
    cluster.start_server()
    asyncio.run(asyncio.wait_for(story(cluster, rounds, progress), 180 + rounds / 5))


async def each_costs(away: Away, pid: int, count: int) -> float:
    """Connect and leave without a word so many times; return the CPU that one cost this process."""
    held = Held(pid)
    before = held.cpu()
    await storm(away, storms.silent, away.tls(), count)
    await storms.greeted(away, away.tls())  # who is greeted stood behind all of them
    return (held.cpu() - before) / count


@pytest.mark.rounds(3, 10, 60)
def test_a_client_without_a_word_costs_what_accepting_costs(cluster: Cluster, rounds: int) -> None:
    """So many tries as the bridge makes in some seconds, here and at a listener that accepts and closes."""
    cluster.start_server()
    ours, least = [], []
    with bare_listener(cluster.server_folder / "keys") as bare:
        here = Away(cluster, cluster.root / "abroad")
        there = here.to(bare.port)
        for _ in range(rounds):
            ours.append(asyncio.run(each_costs(here, cluster.server.pid, TRIES_A_SECOND)))
            least.append(asyncio.run(each_costs(there, bare.pid, TRIES_A_SECOND)))
    sys.stdout.write(f"{min(ours) * 1e6:.0f} us a try, {min(least) * 1e6:.0f} us to accept it\n")
    assert min(ours) < ACCEPTED_MOST * min(least)


async def in_a_loop(
    away: Away, pid: int, gust: Gust, one: Abroad | None, seconds: float
) -> tuple[int, float]:
    """Be a client that does nothing but connect and leave; return how often, and the CPU spent a second."""
    held, tls, times = Held(pid), away.tls(one), 0
    cpu, began = held.cpu(), time.monotonic()
    while time.monotonic() - began < seconds:
        with contextlib.suppress(OSError):
            await gust(away, tls)
            times += 1
    return times, (held.cpu() - cpu) / (time.monotonic() - began)


async def loops(cluster: Cluster, bare: Bare, gust: Gust, seconds: float) -> None:
    here, pid = Away(cluster, cluster.root / "abroad"), cluster.server.pid
    [one] = await here.enroll(cluster.create_token(uses=1), 1)
    await storm(here, gust, here.tls(one), BURST)
    times, share = await in_a_loop(here, pid, gust, one, seconds)
    often, spent = await in_a_loop(here.to(bare.port), bare.pid, storms.greeted, None, seconds)
    bridge = TRIES_A_SECOND * spent * seconds / often
    sys.stdout.write(
        f"{times / seconds:.1f} handshakes a second, {share:.1%} of a core; {bridge:.1%} to accept\n"
    )
    assert times <= FRUITLESS.per_second * seconds + FRUITLESS.burst / 5
    assert share < LOOP_MOST * bridge


@pytest.mark.parametrize("gust", [storms.greeted, storms.upgraded])
@pytest.mark.rounds(3, 10, 60)
def test_a_client_in_a_loop_costs_next_to_nothing(cluster: Cluster, rounds: int, gust: Gust) -> None:
    """One that connects and leaves as fast as it can is slowed down to a few times a second.

    All that the server does meanwhile is less than what it costs to accept the bridge, and no more.
    """
    cluster.start_server()
    with bare_listener(cluster.server_folder / "keys") as bare:
        asyncio.run(loops(cluster, bare, gust, rounds))
