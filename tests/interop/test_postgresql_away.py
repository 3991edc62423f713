"""A real PostgreSQL that hangs, and one that is killed and started again, under a server with a fleet.

For 40 seconds, which is longer than any wait for a database (`storage.engine`), and a minute in `make soak`.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import create_engine, text

from distribution.demo.cluster import Cluster
from distribution.demo.places import ObjectsAt
from tests.fakes import postgres
from tests.fakes.fleet_abroad import Abroad
from tests.fakes.outage import NEWS, Outage, story
from tests.interop.parts import install_debian


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server of this test's own."""
    try:
        postgres.programs()
    except postgres.NoPostgresError:
        install_debian("postgresql")
    with postgres.serving() as url:
        yield url


@pytest.fixture
def cluster(server: str, tmp_path: Path) -> Iterator[Cluster]:
    with contextlib.closing(Cluster(tmp_path / "cluster", ObjectsAt(), server)) as cluster:
        cluster.init(single=True)
        cluster.start_server()
        yield cluster
        cluster.api().close()


def folder_of(server: str) -> Path:
    """Return the folder of the PostgreSQL server, where its socket is."""
    return Path(parse_qs(urlsplit(server).query)["host"][0])


def processes(server: str) -> list[int]:
    """Return the processes of the PostgreSQL server, the first of them first."""
    first = int((folder_of(server) / "data" / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{first}/task/{first}/children").read_text()
    return [first, *map(int, children.split())]


@contextlib.contextmanager
def hanging(server: str) -> Iterator[None]:
    """Stop all of it, as a dead disk does: connections stay, and nothing answers."""
    first, *_ = stopped = processes(server)
    try:
        os.kill(first, signal.SIGSTOP)  # from here on there are no new ones
        stopped = processes(server)
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):  # some come and go
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def killed(server: str) -> Iterator[None]:
    """End it without warning, and start it again on what is on its disk."""
    postgres.stop(folder_of(server))
    try:
        yield
    finally:
        postgres.start(folder_of(server))


def kept(server: str, one: Abroad) -> bool:
    """Whether the database itself has the agent's news."""
    engine = create_engine(server)
    try:
        with engine.connect() as connection:
            query = text("SELECT health FROM agent_status JOIN agent_numbers USING (number) WHERE uid = :uid")
            return NEWS in str(connection.execute(query, {"uid": str(one.who)}).scalar_one_or_none())
    finally:
        engine.dispose()


@pytest.mark.rounds(40, 40, 60)
@pytest.mark.parametrize("how", [hanging, killed])
def test_postgresql_is_away(
    cluster: Cluster,
    server: str,
    how: Callable[[str], contextlib.AbstractContextManager[None]],
    rounds: int,
    progress: Callable[[int], None],
) -> None:
    """No agent is sent away, no change is acknowledged, status stays in memory, and then all goes on."""
    outage = Outage(cluster, partial(how, server), partial(kept, server), reads=False)
    asyncio.run(asyncio.wait_for(story(outage, rounds, progress), 240 + rounds))
