"""The database of a real server is locked by somebody else: agents stay, nothing false is said, it heals.

For 12 seconds in `make test`, 20 in `.ci/run`, a minute in `make soak`.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.places import ObjectsAt
from tests.fakes.fleet_abroad import Abroad
from tests.fakes.outage import NEWS, Outage, story


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


def open_files(pid: int) -> list[str]:
    """Return what the process has open, by name."""
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            found.append(str(each.readlink()))
    return found


def kept_status(cluster: Cluster, one: Abroad) -> bool:
    """Whether the database file itself has the agent's news."""
    with contextlib.closing(sqlite3.connect(cluster.server_folder / "quartermaster.db")) as other:
        query = "SELECT health FROM agent_status JOIN agent_numbers USING (number) WHERE uid = ?"
        found = other.execute(query, (str(one.who),)).fetchall()
    return any(NEWS in str(health) for (health,) in found)


@pytest.mark.rounds(12, 20, 60)
def test_the_database_is_away(cluster: Cluster, rounds: int, progress: Callable[[int], None]) -> None:
    """No agent is sent away, no change acknowledged, status stays in memory, and all goes on by itself."""
    outage = Outage(cluster, partial(locked, cluster), partial(kept_status, cluster), reads=True)
    asyncio.run(asyncio.wait_for(story(outage, rounds, progress), 240 + rounds))
    # Whoever looked into the database and left did not take its log away.
    assert not [name for name in open_files(cluster.server.pid) if name.endswith("(deleted)")]
