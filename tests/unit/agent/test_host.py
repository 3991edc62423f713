"""Covers distribution/agent/host.py: whatever an agent did when it died, its next life runs a version."""

from pathlib import Path

import pytest

from distribution.agent.report import Standing
from distribution.agent.state import State
from distribution.errors import HostError
from tests.fakes.agent_programs import FakeMachine
from tests.fakes.agent_world import AgentWorld, path_of
from tests.fakes.dying import DyingDisk, DyingStarter, Fate, Killed
from tests.fakes.tuf_repository import TufRepository

ACTS_MAX = 60


def repository_of(*releases: tuple[str, bytes]) -> TufRepository:
    made = TufRepository()
    for version, data in releases:
        made.add_release(path_of(version), data)
    made.publish()
    return made


@pytest.fixture(scope="module")
def repository() -> TufRepository:
    return repository_of(
        ("1.0.0", b"runs\n1.0.0"),
        ("1.1.0", b"runs\n1.1.0"),
        ("1.2.0", b"exits 3\n1.2.0"),
        ("1.3.0", b"fails to start\n1.3.0"),
    )


def settled_at(root: Path, repository: TufRepository, machine: FakeMachine, version: str) -> AgentWorld:
    world = AgentWorld(root, repository, machine)
    world.keeper.start()
    world.offer(world.offered(version))
    world.settle()
    assert world.package().version == version
    return world


def die_on_the_way(
    root: Path, repository: TufRepository, machine: FakeMachine, version: str, fate: Fate
) -> bool:
    """Run an agent towards a version until its fate; say whether it died."""
    world = AgentWorld(root, repository, DyingStarter(machine, fate), wrap=lambda disk: DyingDisk(disk, fate))
    try:
        world.keeper.start()
        world.offer(world.offered(version))
        world.settle()
    except Killed:
        return True
    return False


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("offered", "ends_at"),
    [("1.1.0", "1.1.0"), ("1.2.0", "1.0.0"), ("1.3.0", "1.0.0")],
    ids=["good", "crashing", "unstartable"],
)
def test_a_death_at_any_act_leaves_a_running_version(
    tmp_path: Path, repository: TufRepository, offered: str, ends_at: str, *, after: bool
) -> None:
    """Killed before or after each write, start and stop: the next life runs a healthy version, alone."""
    for at in range(1, ACTS_MAX):
        root, machine = tmp_path / str(at), FakeMachine()
        root.mkdir()
        settled_at(root, repository, machine, "1.0.0")
        machine.end_orphan()
        fate = Fate(at, after=after)
        died = die_on_the_way(root, repository, machine, offered, fate)
        if not died:
            assert fate.spared
            assert at > 8, fate.acts  # it did die at all of these before
            return
        machine.end_orphan()
        world = AgentWorld(root, repository, machine)
        world.keeper.start()
        assert [Path(each.file).exists() for each in machine.alive] in ([], [True])
        world.offer(world.offered(offered))
        world.settle()
        assert world.package().version == ends_at, (at, fate.acts)
        assert len(machine.alive) == 1, (at, fate.acts)
        assert machine.alive[0].behaviour == "runs"
        world.until_well()
        assert machine.most_at_once == 1
    raise AssertionError("the story never ended")


def test_the_first_installation_survives_a_death_at_any_act(
    tmp_path: Path, repository: TufRepository
) -> None:
    """A host that never had a program ends with one, wherever its agent died before."""
    for at in range(1, ACTS_MAX):
        root, machine = tmp_path / str(at), FakeMachine()
        root.mkdir()
        if not die_on_the_way(root, repository, machine, "1.0.0", Fate(at, after=True)):
            return
        machine.end_orphan()
        world = AgentWorld(root, repository, machine)
        world.keeper.start()
        world.offer(world.offered("1.0.0"))
        world.settle()
        assert world.package().version == "1.0.0"
        assert len(machine.alive) == 1


def test_a_trial_that_is_cut_short_too_often_falls_back(tmp_path: Path, repository: TufRepository) -> None:
    """A version whose trial always takes the agent down with it is given up after the configured times."""
    machine = FakeMachine()
    world = settled_at(tmp_path, repository, machine, "1.0.0")
    world.offer(world.offered("1.1.0"))
    world.until(lambda: world.host.state.trial is not None)
    for _ in range(2):
        machine.end_orphan()
        world.restart()
        world.keeper.start()
        assert world.host.state.trial is not None
    machine.end_orphan()
    world.restart()
    world.keeper.start()
    assert world.package().error == (
        "fell back to 1.0.0 which last ran healthy: 1.1.0 was cut short 3 times by the agent's own end"
    )
    assert len(machine.alive) == 1


def test_a_release_that_cannot_be_started_falls_back(tmp_path: Path, repository: TufRepository) -> None:
    """A file that the system does not run is a failed trial."""
    machine = FakeMachine()
    world = settled_at(tmp_path, repository, machine, "1.0.0")
    world.offer(world.offered("1.3.0"))
    world.settle()
    assert world.package().standing is Standing.FAILED
    assert "1.3.0 could not be started: cannot start" in world.package().error
    assert len(machine.alive) == 1


def test_without_an_earlier_version_a_failed_trial_says_so(tmp_path: Path, repository: TufRepository) -> None:
    """Where there is nothing to fall back to, the report does not claim otherwise."""
    world = AgentWorld(tmp_path, repository, FakeMachine())
    world.keeper.start()
    world.offer(world.offered("1.2.0"))
    world.settle()
    assert world.package().error == "nothing to fall back to: 1.2.0 exited with status 3 after 0.0 s"
    assert not world.report.health.well


def alter(world: AgentWorld, version: str) -> None:
    """Change a byte of an installed file."""
    [file] = world.root.glob(f"versions/acme/collector/{version}-*/collector")
    file.chmod(0o600)
    file.write_bytes(b"evil\n")


def test_an_altered_installed_file_is_never_run(tmp_path: Path, repository: TufRepository) -> None:
    """A file that changed on this host's disk is left out for the version before it, and installed anew."""
    machine = FakeMachine()
    world = settled_at(tmp_path, repository, machine, "1.0.0")
    world.offer(world.offered("1.1.0"))
    world.settle()
    alter(world, "1.1.0")
    machine.end_orphan()
    world.restart()
    world.keeper.start()
    assert [each.file.split("/")[-2][:5] for each in machine.alive] == ["1.0.0"]
    world.settle()
    assert world.package().version == "1.1.0"
    assert machine.alive[0].behaviour == "runs"


def test_an_altered_file_without_a_previous_version_is_fetched_again(
    tmp_path: Path, repository: TufRepository
) -> None:
    """With nothing whole on disk nothing runs until the offer was verified and installed again."""
    machine = FakeMachine()
    world = settled_at(tmp_path, repository, machine, "1.0.0")
    alter(world, "1.0.0")
    machine.end_orphan()
    world.restart()
    world.keeper.start()
    assert machine.alive == []
    world.settle()
    assert len(machine.alive) == 1


def test_a_file_altered_during_its_trial_falls_back(tmp_path: Path, repository: TufRepository) -> None:
    """A trial is not resumed with other bytes than were verified."""
    machine = FakeMachine()
    world = settled_at(tmp_path, repository, machine, "1.0.0")
    world.offer(world.offered("1.1.0"))
    world.until(lambda: world.host.state.trial is not None)
    alter(world, "1.1.0")
    machine.end_orphan()
    world.restart()
    world.keeper.start()
    assert "1.1.0 was altered on this host's disk" in world.package().error
    assert len(machine.alive) == 1


class FullDisk(DyingDisk):
    """A disk that refuses to write the state while `full`."""

    full = False

    def __init__(self, disk: DyingDisk) -> None:
        super().__init__(disk, Fate(0, after=False))

    def save(self, state: State) -> None:
        if FullDisk.full:
            raise HostError("cannot write state.json: No space left on device")
        super().save(state)


@pytest.fixture
def full_disk() -> type[FullDisk]:
    FullDisk.full = False
    return FullDisk


def test_a_full_disk_refuses_an_installation_and_keeps_the_program(
    tmp_path: Path, repository: TufRepository, full_disk: type[FullDisk]
) -> None:
    """The intent is written before anything is touched: without it the old program runs on."""
    machine = FakeMachine()
    world = AgentWorld(tmp_path, repository, machine, wrap=full_disk)
    world.keeper.start()
    world.offer(world.offered("1.0.0"))
    world.settle()
    running = machine.alive[0]
    full_disk.full = True
    world.offer(world.offered("1.1.0"))
    world.settle()
    assert world.package().error == "cannot write state.json: No space left on device"
    assert machine.alive == [running]
    full_disk.full = False
    world.until(lambda: world.package().version == "1.1.0")


def test_a_disk_that_fills_up_during_a_trial_does_not_stop_the_fall_back(
    tmp_path: Path, repository: TufRepository, full_disk: type[FullDisk]
) -> None:
    """Falling back needs no disk; the state is written as soon as that works again."""
    machine = FakeMachine()
    world = AgentWorld(tmp_path, repository, machine, wrap=full_disk)
    world.keeper.start()
    world.offer(world.offered("1.0.0"))
    world.settle()
    world.offer(world.offered("1.1.0"))
    world.until(lambda: world.host.state.trial is not None)
    full_disk.full = True
    machine.alive[0].end(1)
    world.keeper.step()
    assert len(machine.alive) == 1
    assert world.host.state.trial is None
    assert world.store.load().trial is not None
    full_disk.full = False
    world.keeper.step()
    assert world.store.load().trial is None


def test_old_versions_are_removed_but_the_previous_one_is_kept(
    tmp_path: Path, repository: TufRepository
) -> None:
    """On disk lie the healthy version and the one before it, and nothing that the state does not name."""
    world = settled_at(tmp_path, repository, FakeMachine(), "1.0.0")
    stray = tmp_path / "versions/acme/collector/0.9.0-0000000000000000/collector"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"old")
    world.offer(world.offered("1.1.0"))
    world.settle()
    kept = sorted(path.parent.name[:5] for path in tmp_path.glob("versions/*/*/*/*"))
    assert kept == ["1.0.0", "1.1.0"]
    assert list(tmp_path.glob("staging/*")) == []
