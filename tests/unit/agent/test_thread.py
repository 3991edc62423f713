"""Covers distribution/agent/thread.py and logs.py: the keeper's thread, and the agent's own log."""

import io
import json
import logging
import os
import threading
from pathlib import Path

import pytest

from distribution import logs
from distribution.agent.report import Report
from distribution.agent.thread import Bell, KeeperThread
from distribution.errors import HostError
from tests.fakes.agent_programs import FakeMachine
from tests.fakes.agent_world import AgentWorld, path_of
from tests.fakes.besieged_agent import wait_until
from tests.fakes.tuf_repository import TufRepository


@pytest.fixture
def world(tmp_path: Path) -> AgentWorld:
    repository = TufRepository()
    repository.add_release(path_of("1.0.0"), b"runs\n")
    repository.publish()
    return AgentWorld(tmp_path, repository, FakeMachine())


class Reports:
    """What a thread told."""

    def __init__(self) -> None:
        self.all: list[Report] = []

    def __call__(self, report: Report) -> None:
        self.all.append(report)


def test_a_bell_ends_a_sleep_at_once_and_is_heard_before_it() -> None:
    """Rung before or during a sleep, the sleeper wakes; a readable descriptor wakes it, too."""
    bell = Bell()
    bell.ring()
    bell.sleep(None, -1)
    threading.Timer(0.01, bell.ring).start()
    bell.sleep(None, -1)
    reader, writer = os.pipe()
    os.write(writer, b"x")
    bell.sleep(None, reader)
    bell.sleep(0.0, -1)
    os.close(reader)
    os.close(writer)


def test_the_thread_reports_every_change_until_it_is_stopped(world: AgentWorld) -> None:
    """An offer handed over from another thread ends installed, and the program is stopped with the thread."""
    bell, reports = Bell(), Reports()
    world.keeper._wake = bell.ring
    thread = KeeperThread(world.keeper, bell, reports)
    thread.start()
    world.keeper.offer(world.wanted(world.offered("1.0.0")))

    def on() -> bool:
        world.time += 10
        bell.ring()
        return bool(reports.all) and any(each.version == "1.0.0" for each in reports.all[-1].packages)

    wait_until(on)
    thread.stop()
    assert world.starter.alive == []  # type: ignore[attr-defined]
    assert thread.failure is None


def test_a_refusing_host_is_tried_again(
    world: AgentWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the host does not end the thread."""
    bell, steps = Bell(), []

    def step() -> float | None:
        steps.append(1)
        bell.ring()
        if len(steps) == 1:
            raise HostError("disk is full")
        return None

    monkeypatch.setattr(world.keeper, "step", step)
    thread = KeeperThread(world.keeper, bell, Reports())
    thread.start()
    wait_until(lambda: len(steps) > 1)
    thread.stop()
    assert "this host refused" in caplog.text


def test_a_defect_ends_the_thread_and_is_told(world: AgentWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw ends the thread loudly."""
    told = threading.Event()

    def broken() -> float | None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.keeper, "step", broken)
    thread = KeeperThread(world.keeper, Bell(), Reports())
    thread.on_failure(told.set)
    thread.start()
    assert told.wait(10)
    thread.stop()
    assert isinstance(thread.failure, ZeroDivisionError)


@pytest.fixture
def unlogged() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("distribution").level
    yield  # type: ignore[misc]
    root.handlers[:], root.level = before[0], before[1]
    logging.getLogger("distribution").setLevel(before[2])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_log_is_json_for_machines_and_text_for_people(unlogged: None) -> None:
    """Every line carries its fields; libraries are heard from their warnings on."""
    machine, person = io.StringIO(), Terminal()
    for stream in (machine, person):
        logs.set_up(stream)
        logging.getLogger("distribution.x").info("said %s", "it", extra={"serial": "5a"})
        logging.getLogger("elsewhere").info("hidden")
    try:
        int("why")
    except ValueError:
        logs.set_up(machine)
        logging.getLogger("distribution.x").exception("broke")
    first, second = [json.loads(line) for line in machine.getvalue().splitlines()]
    assert (first["message"], first["serial"], first["level"]) == ("said it", "5a", "info")
    assert "ValueError: invalid literal" in second["exception"]
    assert person.getvalue().strip().endswith("INFO    said it serial=5a")
