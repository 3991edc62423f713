"""No store loses a race, in threads or in processes; and each race is lost by a store that loses updates."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.directory import DirectoryStore
from tests.contract.object_places import PLACES, fresh, moto_server
from tests.contract.object_races import (
    RACES,
    Processes,
    Race,
    RaceLostError,
    Threads,
    await_ready,
    let_go,
    start_worker,
)
from tests.fakes.losing_store import LosingStore

every_race = pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.mark.parametrize("place", PLACES)
@every_race
def test_no_race_is_lost_by_threads(place: str, race: Race, tmp_path: Path, moto: str) -> None:
    """Many threads on one store object; fewer on moto, which takes one request at a time."""
    with fresh(place, tmp_path, moto) as store:
        race(Threads(store), store, 4 if place == "moto" else 8)


@every_race
def test_no_race_is_lost_by_processes(race: Race, tmp_path: Path) -> None:
    """Four processes on one folder."""
    folder = tmp_path / "objects"
    race(Processes(folder), DirectoryStore(folder), 4)


@every_race
def test_each_race_is_lost_by_threads_on_a_losing_store(race: Race, tmp_path: Path) -> None:
    """The case can fail: a store that compares and then writes, or writes in place, loses it."""
    store = LosingStore(tmp_path / RACES[race].value)
    with pytest.raises(RaceLostError):
        race(Threads(store), store, 3)


@every_race
def test_each_race_is_lost_by_processes_on_a_losing_store(race: Race, tmp_path: Path) -> None:
    """The case can fail across processes too."""
    folder = tmp_path / RACES[race].value
    with pytest.raises(RaceLostError):
        race(Processes(folder), LosingStore(folder), 3)


@pytest.mark.rounds(4, 20, 100)
def test_a_killed_writer_loses_nothing_it_was_told(
    tmp_path: Path, rounds: int, progress: Callable[[int], None]
) -> None:
    """After SIGKILL the counter is whole, holds what was acknowledged, and no draft is left behind."""
    folder = tmp_path / "objects"
    DirectoryStore(folder).create("races/counter", b"0")
    for turn in range(rounds):
        progress(turn)
        worker = start_worker(folder, "count", {"key": "races/counter", "times": 10_000, "aloud": True})
        assert worker.stdout is not None
        with worker:
            await_ready(worker)
            let_go(worker)
            acknowledged = [int(worker.stdout.readline()) for _ in range(1 + turn % 5)][-1]
            worker.send_signal(signal.SIGKILL)
            late = [int(line) for line in worker.stdout]
        store = DirectoryStore(folder)
        kept = int(store.read("races/counter", 100)[0])
        assert kept - max([acknowledged, *late]) in (0, 1)
        assert list((folder / ".staging").iterdir()) == []
