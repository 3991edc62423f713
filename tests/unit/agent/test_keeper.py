"""Covers distribution/agent/keeper.py: an offer becomes an installation, a refusal or a fall back."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from distribution.agent.health import Checked
from distribution.agent.report import Progress, Standing
from distribution.domain.package import PackageType
from tests.fakes.agent_programs import FakeMachine
from tests.fakes.agent_world import AgentWorld, path_of
from tests.fakes.tuf_repository import TufRepository

WELL = b"runs\n1.0.0"


@pytest.fixture
def repository() -> TufRepository:
    made = TufRepository()
    for version in ("1.0.0", "1.1.0"):
        made.add_release(path_of(version), b"runs\n" + version.encode())
    made.add_release(path_of("1.2.0"), b"exits 3\n1.2.0")
    made.publish()
    return made


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine()


@pytest.fixture
def world(tmp_path: Path, repository: TufRepository, machine: FakeMachine) -> AgentWorld:
    made = AgentWorld(tmp_path, repository, machine)
    made.keeper.start()
    return made


def installed(world: AgentWorld, version: str) -> None:
    """Take the world to a version."""
    world.offer(world.offered(version))
    world.settle()
    assert world.package().version == version, world.package()


def test_an_offer_is_installed_and_reported_with_its_hashes(world: AgentWorld, machine: FakeMachine) -> None:
    """An honest offer ends installed, its program runs, and the report repeats the server's hashes."""
    offered = world.offered("1.0.0")
    world.offer(offered)
    world.settle()
    package = world.package()
    assert (package.standing, package.version, package.hash) == (Standing.INSTALLED, "1.0.0", offered.hash)
    assert world.report.offer_hash == world.wanted(offered).hash
    assert world.report.health.well
    assert [Path(program.file).read_bytes() for program in machine.alive] == [WELL]


def test_a_crashing_release_falls_back_and_is_not_tried_again(
    world: AgentWorld, machine: FakeMachine
) -> None:
    """A version that exits during its trial is left for the one that last ran healthy, and remembered."""
    installed(world, "1.1.0")
    world.offer(world.offered("1.2.0"))
    world.settle()
    package = world.package()
    assert package.standing is Standing.FAILED
    assert package.error == (
        "fell back to 1.1.0 which last ran healthy: 1.2.0 exited with status 3 after 0.0 s"
    )
    assert (package.version, package.offered_version) == ("1.1.0", "1.2.0")
    starts = len(machine.started)
    world.offer(world.offered("1.2.0"))
    for _ in range(20):
        world.time += 100
        world.keeper.step()
    assert len(machine.started) == starts
    assert [Path(program.file).name for program in machine.alive] == ["collector"]


def test_a_failed_release_is_tried_again_after_another_offer(world: AgentWorld, machine: FakeMachine) -> None:
    """The memory of a failure ends when the server has offered something else in between."""
    installed(world, "1.1.0")
    world.offer(world.offered("1.2.0"))
    world.settle()
    world.offer(world.offered("1.1.0"))
    world.settle()
    tries = sum("1.2.0-" in file for file in machine.started)
    world.offer(world.offered("1.2.0"))
    world.settle()
    assert sum("1.2.0-" in file for file in machine.started) == tries + 1


def test_an_unhealthy_release_falls_back_without_any_server(world: AgentWorld) -> None:
    """The health gate looks at the program alone: nothing was heard from the server meanwhile."""
    installed(world, "1.0.0")
    world.ask = lambda: Checked(well=world.package().version == "1.0.0" and not trying(world), seen="503")
    world.offer(world.offered("1.1.0"))
    world.settle()
    assert world.package().error == (
        "fell back to 1.0.0 which last ran healthy: 1.1.0 was not healthy within 20 s: 503"
    )


def trying(world: AgentWorld) -> bool:
    """Whether a trial is on."""
    return world.host.state.trial is not None


def test_a_downgrade_needs_its_mark(world: AgentWorld) -> None:
    """A lower version without a mark is refused, naming both versions; with it, it is installed."""
    installed(world, "1.1.0")
    world.offer(world.offered("1.0.0"))
    world.settle()
    assert world.package().error == (
        "package collector: 1.0.0 is lower than the installed 1.1.0 and carries no downgrade mark"
    )
    world.offer(world.offered("1.0.0", downgrade=True))
    world.settle()
    assert world.package().version == "1.0.0"


def test_the_same_content_under_another_hash_is_not_installed_again(
    world: AgentWorld, machine: FakeMachine
) -> None:
    """A mark that comes or goes changes the server's hash, not what runs."""
    installed(world, "1.0.0")
    starts = len(machine.started)
    marked = world.offered("1.0.0", downgrade=True)
    world.offer(marked)
    world.settle()
    world.keeper.step()
    assert world.package().hash == marked.hash
    assert len(machine.started) == starts


def test_a_refusal_is_retried_with_a_growing_pause(world: AgentWorld, repository: TufRepository) -> None:
    """A refused package keeps its reason in every report, and is installed once the cause is gone."""
    name = repository.target_file(path_of("1.0.0"))
    bytes_ = repository.files.pop(name)
    world.offer(world.offered("1.0.0"))
    world.settle()
    first = len(world.fetcher.asked)
    assert world.package().standing is Standing.FAILED
    world.until(lambda: len(world.fetcher.asked) > first)
    assert world.package().standing is Standing.FAILED
    before = world.time
    second = len(world.fetcher.asked)
    world.until(lambda: len(world.fetcher.asked) > second)
    assert world.time - before >= 3
    repository.files[name] = bytes_
    world.until(lambda: world.package().version == "1.0.0")


def test_a_crash_of_a_kept_version_restarts_it(world: AgentWorld, machine: FakeMachine) -> None:
    """Outside a trial the program is started again, and the fall is in the health report meanwhile."""
    installed(world, "1.0.0")
    machine.alive[0].end(-11)
    world.keeper.step()
    assert not world.report.health.well
    assert "collector 1.0.0 was ended by SIGSEGV after" in world.report.health.error
    world.until(lambda: world.report.health.well)
    assert len(machine.alive) == 1


def test_a_restart_command_starts_the_program_anew(world: AgentWorld, machine: FakeMachine) -> None:
    """The server may have the program restarted; it stays the same version."""
    installed(world, "1.0.0")
    starts = len(machine.started)
    world.keeper.restart_program()
    assert world.keeper.step() is not None
    assert len(machine.started) == starts + 1
    assert len(machine.alive) == 1


def test_a_server_that_asks_for_restarts_all_the_time_is_not_obeyed(
    world: AgentWorld, machine: FakeMachine
) -> None:
    """A restart is done once in half a minute, and never during a trial."""
    installed(world, "1.0.0")
    starts = len(machine.started)
    for _ in range(10):
        world.keeper.restart_program()
        world.keeper.step()
    assert len(machine.started) == starts + 1
    world.time += 30
    world.offer(world.offered("1.1.0"))
    world.until(lambda: trying(world))
    starts = len(machine.started)
    world.keeper.restart_program()
    world.keeper.step()
    assert len(machine.started) == starts


def test_an_addon_is_installed_and_taken_away_with_the_offer(
    world: AgentWorld, repository: TufRepository
) -> None:
    """Addons follow the complete set; the program itself stays although an offer leaves it out."""
    repository.add_release(path_of("0.1.0", "plugin"), b"plugin", PackageType.ADDON)
    repository.publish()
    world.offer(world.offered("1.0.0"), world.offered("0.1.0", "plugin"))
    world.settle()
    assert {each.name: each.version for each in world.report.packages} == {
        "collector": "1.0.0",
        "plugin": "0.1.0",
    }
    world.offer()
    world.until(lambda: "plugin" not in world.host.state.healthy and not trying(world))
    assert [each.name for each in world.report.packages] == ["collector"]
    assert world.report.health.well


def test_a_package_this_host_does_not_know_is_refused(world: AgentWorld) -> None:
    """A name without a rule is refused, whatever else is right about it."""
    world.offer_instead(world.offered("1.0.0"), name="other")
    world.settle()
    assert world.package("other").error == "package 'other' is not one of those this host accepts"


def test_an_unexpected_error_is_a_refusal_and_not_the_end(
    world: AgentWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect in preparing costs an installation, never the keeper."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.keeper._source, "prepare", broken)
    world.offer(world.offered("1.0.0"))
    world.settle()
    assert "unexpected ZeroDivisionError" in world.package().error


def test_a_newer_offer_replaces_one_in_preparation(world: AgentWorld) -> None:
    """What was prepared for an offer that is gone is not installed."""
    world.offer(world.offered("1.0.0"))
    world.keeper.step()
    world.offer(world.offered("1.1.0"))
    world.settle()
    assert world.package().version == "1.1.0"
    assert not any("1.0.0-" in file for file in world.starter.started)  # type: ignore[attr-defined]


def test_a_restarted_agent_goes_on_with_the_last_offer(
    world: AgentWorld, machine: FakeMachine, repository: TufRepository
) -> None:
    """An agent that died before it installed an offer installs it without hearing it again."""
    world.offer(world.offered("1.0.0"))
    world.keeper._take_inbox()
    world.restart()
    world.keeper.start()
    world.settle()
    assert world.package().version == "1.0.0"


def test_progress_of_a_download_is_reported(world: AgentWorld) -> None:
    """While bytes flow the package is reported as downloading, with how far it is."""
    pending: Future = Future()
    world.keeper._submit = lambda _work: pending
    world.offer(world.offered("1.0.0"))
    world.keeper.step()
    assert world.package().standing is Standing.INSTALLING
    world.keeper._note_progress(Progress(40.0, 100.0))
    world.keeper.step()
    assert (world.package().standing, world.package().progress) == (
        Standing.DOWNLOADING,
        Progress(40.0, 100.0),
    )
