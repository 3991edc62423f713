"""SIGTERM to a real server while a fleet talks to it over both transports: no exchange is lost.

60 agents in `make test`, 200 in `.ci/run`, 1000 in `make soak`.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.places import ObjectsAt
from distribution.demo.processes import wait_for
from distribution.transport.drain import spread
from tests.fakes.fleet_abroad import Abroad, Away, Talking

DRAIN_SECONDS = 2
LEAST_SPREAD = 0.5
"""From the first end to the last, of the stated time: a server that is late hurries with the rest."""

MOST_TOGETHER = 0.75
"""Of the sockets in a quarter of the stated time; in equal parts it is a quarter of them."""

STOP_SECONDS = 60.0
"""How long a stop may take on a machine that is far too busy."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with contextlib.closing(Cluster(tmp_path / "cluster", ObjectsAt())) as cluster:
        cluster.init(single=True)
        settings = cluster.settings_file.read_text()
        for section, lines in (
            ("agents", f"drain_seconds = {DRAIN_SECONDS}"),
            ("limits", "enrollments_per_second_per_address = 1000\nenrollments_per_second = 1000"),
        ):
            settings = with_lines(settings, section, lines)
        cluster.settings_file.write_text(settings)
        cluster.start_server()
        yield cluster
        cluster.api().close()


def with_lines(settings: str, section: str, lines: str) -> str:
    """Return the settings with lines more in a section."""
    head = f"[{section}]\n"
    return settings.replace(head, f"{head}{lines}\n") if head in settings else f"{settings}\n{head}{lines}\n"


def heard(cluster: Cluster) -> list[int]:
    """Return how many messages each life of the server took, as it said when it stopped."""
    counts, last = [], 0
    for line in (cluster.logs / "server.log").read_text().splitlines():
        told = json.loads(line)
        if told["message"] == "exchanges since the start":
            last = told["heard"]
        if told["message"].startswith("serving") and last:
            counts.append(last)
            last = 0
    return [*counts, last]


async def stopped(cluster: Cluster) -> float:
    """Send SIGTERM; return how long the server took to end, with success."""
    began = time.monotonic()
    os.kill(cluster.server.pid, signal.SIGTERM)
    while cluster.server.ended() is None:
        assert time.monotonic() - began < STOP_SECONDS, cluster.server.tail()
        await asyncio.sleep(0.02)
    assert cluster.server.ended() == 0, cluster.server.tail()
    return time.monotonic() - began


def require_told(agents: list[Abroad]) -> None:
    """Each connection ended with a hint: over WebSocket in a message and by 1012, over HTTP in the answer."""
    for one in agents:
        ending = one.endings[0]
        if one.polls:
            assert ending in {"Connection: close", "0 bytes read on a total of undefined expected bytes"}
        else:
            kind, seconds, code = ending.split()
            assert (kind, code) == ("ServerErrorResponseType_Unavailable", "1012")
            assert 1 <= int(seconds) <= 2 * DRAIN_SECONDS + 2
    said_last = sum(one.endings[0] == "Connection: close" for one in agents)
    assert said_last > 0


def require_spread(agents: list[Abroad], signalled: float, took: float) -> None:
    """Sockets ended one after the other, from the signal on and over the time that is stated for so many."""
    stated = spread(len(agents), DRAIN_SECONDS)
    ended = sorted(one.ended_at[0] - signalled for one in agents if not one.polls)
    first, last = ended[0], ended[-1]
    assert first >= 0
    assert last - first >= LEAST_SPREAD * stated
    assert took >= LEAST_SPREAD * stated
    within = [sum(at <= other < at + stated / 4 for other in ended) for at in ended]
    assert max(within) < MOST_TOGETHER * len(ended)


def require_measured(answer: httpx.Response, agents: list[Abroad]) -> None:
    """A scraper sees how many are connected to which listener."""
    answer.raise_for_status()
    found = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert float(found['quartermaster_connections{listener="agents"}']) >= len(agents)
    assert float(found['quartermaster_connections{listener="operators"}']) >= 1
    assert float(found["quartermaster_draining"]) == 0


async def story(cluster: Cluster, count: int) -> None:
    away = Away(cluster, cluster.root / "abroad")
    agents = await away.enroll(cluster.create_token(uses=count), count)
    talking = Talking(away, agents, pause=0.05)
    talking.start()
    await talking.until_each_has(3)
    require_measured(await asyncio.to_thread(cluster.api().get, "/metrics"), agents)
    signalled = time.monotonic()
    took = await stopped(cluster)  # our own idle connection to the operators' listener stays open
    answered = sum(one.answered for one in agents)
    assert heard(cluster) == [answered + count]  # each enrolled by a message, too
    await asyncio.to_thread(cluster.start_server)
    await talking.until_each_has(3)
    await talking.stop()
    require_told(agents)
    require_spread(agents, signalled, took)
    again = sum(one.answered for one in agents) - answered
    await stopped(cluster)  # our own idle connection to the operators' listener is not waited for
    assert heard(cluster) == [answered + count, again]
    assert "they took too long" not in (cluster.logs / "server.log").read_text()


@pytest.mark.rounds(60, 200, 1000)
def test_no_exchange_is_lost_when_the_server_stops(cluster: Cluster, rounds: int) -> None:
    """Every message that was taken was answered, every agent is told to come again, and does."""
    asyncio.run(asyncio.wait_for(story(cluster, rounds), 120 + rounds))


def test_a_second_signal_ends_the_server_at_once(cluster: Cluster) -> None:
    """While it waits for a request to end, another SIGTERM kills it as any process."""
    token = (cluster.operator / "token").read_text().strip()
    port = urlsplit(cluster.url).port
    away = Away(cluster, cluster.root / "abroad")
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        away.tls().wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        head = f"POST /api/v1/enrollment-tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        tls.sendall(f"{head}Content-Length: 100\r\nExpect: 100-continue\r\n\r\n".encode())
        assert tls.recv(13) == b"HTTP/1.1 100 "
        os.kill(cluster.server.pid, signal.SIGTERM)
        log = cluster.logs / "server.log"
        wait_for("the stop", lambda: "a second signal" in log.read_text() or None, STOP_SECONDS)
        os.kill(cluster.server.pid, signal.SIGTERM)
        status = wait_for("the end", cluster.server.ended, STOP_SECONDS)
    assert status == -signal.SIGTERM
