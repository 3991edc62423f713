"""A stolen server tries to fill an agent's disk with what its publishers signed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.agent_world import path_of
from tests.fakes.besieged_agent import Besieged, besieged, program, repository
from tests.fakes.tuf_repository import TufRepository

RELEASES = tuple(f"1.1.{number}" for number in range(1, 6))


@pytest.fixture
def tuf() -> TufRepository:
    made = repository()
    for version in RELEASES:
        made.add_release(path_of(version), program(version) + bytes(10_000))
    made.publish()
    return made


@pytest.fixture
def agent(tmp_path: Path, tuf: TufRepository) -> Iterator[Besieged]:
    with besieged(tmp_path, tuf) as found:
        yield found


def test_downloads_that_break_off_at_the_last_byte(agent: Besieged, tuf: TufRepository) -> None:
    """Whatever is offered in turn and never comes whole, at most one part of a file is kept."""
    for version in RELEASES:
        served = tuf.target_file(path_of(version))
        tuf.files[served] = tuf.files[served][:-1]
        agent.hear(agent.message(agent.world.offered(version)))
        agent.require_refused("signed are")
        assert len(list(agent.world.store.staging.iterdir())) <= 1
