"""`kill -9` of server, publisher and agent at random moments: nothing lost, something always runs.

Together the three tests kill 20 times in `make test`, 100 times in `.ci/run`, 500 times in `make soak`. A
failure names the seed of its moments. They lie within what an undisturbed run took on the same machine, and
only a kill of a process that still ran is counted.
"""

import contextlib
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from distribution.demo.processes import Program
from tests.fakes.siege import Siege, after, finished, killed

AGENTS = {"agent-ws": "ws", "agent-http": "http"}
TRIES_MAX = 20
"""How often a publication may have ended before its kill, one time after the other."""


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("QM_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
    sys.stdout.write(f"QM_TEST_SEED={seed} repeats the moments of these kills\n")
    return random.Random(seed)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed has no coverage to tell, and measuring it would only slow it down."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def siege(tmp_path: Path, unmeasured: None) -> Iterator[Siege]:
    with contextlib.closing(Siege(tmp_path / "siege", AGENTS)) as siege:
        yield siege


@pytest.fixture
def publishers(tmp_path: Path, unmeasured: None) -> Iterator[Siege]:
    with contextlib.closing(Siege(tmp_path / "siege", {})) as siege:
        yield siege


@pytest.mark.rounds(7, 34, 170)
def test_the_server_is_killed(
    siege: Siege, chance: random.Random, rounds: int, progress: Callable[[int], None]
) -> None:
    """A server killed during a rollout and a publication loses nothing it acknowledged, and goes on."""
    for done in range(rounds):
        progress(done)
        publishing = siege.publishing()
        publishing.start()
        wanted = siege.other()
        rollout = threading.Thread(target=_try_to_set, args=(siege, wanted))
        rollout.start()
        after(chance, siege.publishing_seconds + siege.rollout_seconds)  # they share the machine
        assert killed(siege.cluster.server)
        rollout.join()
        siege.cluster.start_server()
        siege.set_channel(wanted)
        if finished(publishing) != 0:
            siege.publish_again(publishing)
        siege.require_settled()


def _try_to_set(siege: Siege, version: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        siege.set_channel(version)


@pytest.mark.rounds(6, 33, 165)
def test_the_publisher_is_killed(
    publishers: Siege, chance: random.Random, rounds: int, progress: Callable[[int], None]
) -> None:
    """A pipeline killed anywhere publishes the same release when it is run again, once."""
    for done in range(rounds):
        progress(done)
        publishers.publish_again(_killed_publishing(publishers, chance))
        publishers.require_settled()


def _killed_publishing(publishers: Siege, chance: random.Random) -> Program:
    """Return a pipeline's run that was killed; one that had ended by then is none, and another is begun."""
    for _ in range(TRIES_MAX):
        publishing = publishers.publishing()
        publishing.start()
        after(chance, publishers.publishing_seconds)
        if killed(publishing):
            return publishing
        assert publishing.ended() == 0, publishing.tail()
    raise AssertionError(f"{TRIES_MAX} publications ended before they were killed")


@pytest.mark.rounds(7, 33, 165)
def test_the_agent_is_killed(
    siege: Siege, chance: random.Random, rounds: int, progress: Callable[[int], None]
) -> None:
    """An agent killed anywhere in an installation has a version to run, and then runs the wanted one."""
    for done in range(rounds):
        progress(done)
        agent = siege.cluster.agents[chance.choice(list(AGENTS))]
        siege.set_channel(siege.other())
        after(chance, siege.rollout_seconds)
        assert killed(agent.program)
        siege.require_a_version(agent)
        agent.program.start()
        siege.require_settled()
