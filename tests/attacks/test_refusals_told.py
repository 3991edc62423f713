"""What an agent refuses is not its secret: the journal has it in its own words.

Agents are processes, the listener is the real one; what is offered is altered in the store, or chosen by a
server that holds every online key.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from distribution.agent.process import alive
from distribution.domain.agent import PackageReport, PackageState
from keys.identity import AgentId
from storage.journal import Entry
from tests.fakes.agent_process import Process, agent, enroll, offer_of, runs
from tests.fakes.agent_world import path_of
from tests.fakes.besieged_agent import wait_until
from tests.fakes.databases import journalled
from tests.fakes.served_fleet import ServedFleet, served_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ServedFleet]:
    folder = tmp_path / "fleet"
    folder.mkdir()
    with served_fleet(folder) as made:
        yield made


@contextmanager
def running_first(fleet: ServedFleet, host: Path, transport: str) -> Iterator[AgentId]:
    """Yield an agent that runs 1.0.0; the same program must run at the end, and stops with its agent."""
    host.mkdir()
    who = enroll(fleet, host, transport, "t1")
    fleet.offer(offer_of(fleet, "1.0.0"))
    process = Process(host)
    try:
        wait_until(lambda: runs(fleet, who, "1.0.0"))
        program = alive(host / "program.json")
        yield who
        assert program is not None
        assert alive(host / "program.json") == program
        shown = json.loads(agent("status", "--dir", host, "--json").stdout)
        assert shown["healthy"] == {"collector": "1.0.0"}
    finally:
        process.stop()


def failures(fleet: ServedFleet) -> list[Entry]:
    """Return what the journal says of failed packages."""
    return [entry for entry in journalled(fleet.here.work.database) if entry.kind == "package.failed"]


def reported(fleet: ServedFleet, who: AgentId) -> PackageReport:
    """Wait until the agent has reported a failure and the journal has it; return the report."""

    def status() -> PackageReport | None:
        return (fleet.view(who).packages or {}).get("collector")

    wait_until(lambda: (found := status()) is not None and found.state is PackageState.FAILED)
    wait_until(lambda: bool(failures(fleet)))
    found = status()
    assert found is not None
    return found


def altered(fleet: ServedFleet) -> tuple[str, tuple[str, ...]]:
    """Change one bit of the stored release; return the version to offer and what the agent must name."""
    name = fleet.tuf.target_file(path_of("1.1.0"))
    data = fleet.tuf.files[name]
    fleet.tuf.files[name] = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    signed = fleet.tuf.release.targets[path_of("1.1.0")].hashes["sha256"]
    return "1.1.0", (f"target {path_of('1.1.0')}", signed)


def below_floor(fleet: ServedFleet) -> tuple[str, tuple[str, ...]]:
    """Raise the floor over a release that is offered all the same, with the downgrade mark."""
    fleet.tuf.set_floors({"collector": "1.0.0"})
    fleet.tuf.publish()
    return "0.9.0", ("version 0.9.0 of package 'collector' is below its floor 1.0.0",)


@pytest.mark.parametrize("transport", ["ws", "http"])
@pytest.mark.parametrize("attack", [altered, below_floor])
def test_a_refusal_is_journalled_in_the_agents_words(
    fleet: ServedFleet,
    tmp_path: Path,
    attack: Callable[[ServedFleet], tuple[str, tuple[str, ...]]],
    transport: str,
) -> None:
    """`package.failed` names agent and package and carries the agent's error; the old program runs on."""
    with running_first(fleet, tmp_path / "host", transport) as who:
        version, named = attack(fleet)
        fleet.offer(offer_of(fleet, version, downgrade=version == "0.9.0"))
        status = reported(fleet, who)
        [entry] = failures(fleet)
        assert (entry.actor, entry.subject) == (f"agent:{who}", f"package:acme/collector@{version}")
        assert entry.detail["path"] == path_of(version)
        assert entry.detail["error"] == status.error
        for words in named:
            assert words in status.error
