"""Storms of every kind against a real server: it holds no more afterwards than before, and goes on serving.

40 connections of each kind in `make test`, 500 in `.ci/run`, 20,000 in `make soak`.
"""

import asyncio
import contextlib
import json
import os
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
from tests.fakes.fleet_abroad import Abroad, Away, Talking
from tests.fakes.storms import Gust, storm

GROWTH_BYTES = 24 << 20
"""What the process may have grown by after each kind has been through once more: caches and fragments."""

FILES_MORE = 2
OTHER_LINES_MOST = 200
"""Log lines of a whole run but those of refusals, however many connections there were."""

CLOCK_LINES = 2
"""What a rounded clock may hide of the bound on refusals."""

TIMES = 12
"""How often a connection of a storm comes: each of six kinds, twice."""

SETTLE_SECONDS = 60.0
BURST = int(FRUITLESS.burst)
CPU_MOST = 0.25
"""Of a core, for the whole server: its jobs and start-up too, on a machine that is far too busy."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with contextlib.closing(Cluster(tmp_path / "cluster", ObjectsAt())) as cluster:
        cluster.init(single=True)
        yield cluster
        cluster.api().close()


class Held:
    """What the server's process holds, from the kernel."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")

    def bytes(self) -> int:
        """Memory that is resident."""
        return int((self._proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def files(self) -> int:
        """Open files."""
        return len(list((self._proc / "fd").iterdir()))

    def cpu(self) -> float:
        """Seconds of CPU, of all threads."""
        spent = 0
        for task in (self._proc / "task").iterdir():
            with contextlib.suppress(OSError):
                spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9


async def settled(held: Held, files: int) -> None:
    """Wait until the server has let go of all connections."""
    until = time.monotonic() + SETTLE_SECONDS
    while held.files() > files + FILES_MORE:
        assert time.monotonic() < until, f"{held.files()} files are open, {files} were before"
        await asyncio.sleep(0.05)


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


async def in_a_loop(cluster: Cluster, seconds: float) -> tuple[int, float]:
    """Be a client that does nothing but connect and leave; return how often, and the server's CPU share."""
    away, held = Away(cluster, cluster.root / "abroad"), Held(cluster.server.pid)
    tls, times = away.tls(), 0
    await storm(away, storms.greeted, tls, BURST)
    cpu, began = held.cpu(), time.monotonic()
    while time.monotonic() - began < seconds:
        with contextlib.suppress(OSError):
            await storms.greeted(away, tls)
            times += 1
    return times, (held.cpu() - cpu) / (time.monotonic() - began)


@pytest.mark.rounds(3, 10, 60)
def test_a_client_in_a_loop_costs_next_to_nothing(cluster: Cluster, rounds: int) -> None:
    """One that connects and leaves as fast as it can is slowed down to a few times a second."""
    cluster.start_server()
    times, share = asyncio.run(in_a_loop(cluster, rounds))
    sys.stdout.write(f"{times / rounds:.1f} handshakes a second, {share:.1%} of a core with all else\n")
    assert times <= FRUITLESS.per_second * rounds + FRUITLESS.burst / 5
    assert share < CPU_MOST
