"""What a server holds for peers that read nothing, finish nothing or ask without end: little, not for long.

12 peers of each kind in `make test`, 32 in `.ci/run`, 200 in `make soak`; each kind comes twice.
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.places import ObjectsAt
from tests.fakes import slow_crowds
from tests.fakes.fleet_abroad import Abroad, Away, Talking
from tests.fakes.held import Held, settled, watched
from tests.fakes.slow_crowds import HALF_BYTES, Peer, gathered

NOISE_BYTES = 24 << 20
"""Caches and fragments."""

LIMITS = """
[limits]
fruitless_handshakes_per_second = 1000000
enrollments_per_second_per_address = 1000
enrollments_per_second = 10000
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with contextlib.closing(Cluster(tmp_path / "cluster", ObjectsAt())) as cluster:
        cluster.init(single=True)
        cluster.settings_file.write_text(cluster.settings_file.read_text() + LIMITS)
        cluster.start_server()
        yield cluster
        cluster.api().close()


async def peak(away: Away, crowd: list[Abroad], peer: Peer, held: Held) -> int:
    """Let a crowd come, hold what it can, and leave; return by how much the server grew meanwhile at most."""
    files, before = held.files(), held.bytes()
    async with watched(held) as most:
        writers = await gathered(away, crowd, peer)
        for writer in writers:
            writer.transport.abort()
    await settled(held, files)
    return most.bytes - before


async def story(cluster: Cluster, count: int, peer: Peer, bytes_most: int) -> None:
    away, held = Away(cluster, cluster.root / "abroad"), Held(cluster.server.pid)
    one, other, *crowd = await away.enroll(cluster.create_token(uses=count + 2), count + 2)
    talking = Talking(away, [one, other], pause=0.02)
    talking.start()
    await talking.until_each_has(3)
    first = await peak(away, crowd, peer, held)
    before = held.bytes()
    again = await peak(away, crowd, peer, held)
    left = held.bytes() - before
    grew = (
        f"{first >> 10} KiB at first, {again >> 10} KiB then for {count} peers, {left >> 10} KiB afterwards"
    )
    sys.stdout.write(f"{grew}\n")
    assert max(first, again) < count * bytes_most + NOISE_BYTES
    assert left < NOISE_BYTES
    await talking.until_each_has(3)
    await talking.stop()
    assert [one.unanswered, other.unanswered] == [0, 0]


@pytest.mark.parametrize(
    ("peer", "bytes_most"),
    [
        (slow_crowds.unread, 512 << 10),
        (slow_crowds.unfinished, 2 * HALF_BYTES),
        (slow_crowds.asking, 0),
    ],
    ids=["who read nothing", "who finish nothing", "who ask without end"],
)
@pytest.mark.rounds(12, 32, 200)
def test_a_crowd_is_held_in_bounded_memory(
    cluster: Cluster, rounds: int, peer: Peer, bytes_most: int
) -> None:
    """A stated share for each of them while they are there, nothing afterwards; others are served."""
    asyncio.run(asyncio.wait_for(story(cluster, rounds, peer, bytes_most), 120 + 2 * rounds))
