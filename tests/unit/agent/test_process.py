"""Covers distribution/agent/process.py and output.py: real processes, found and ended whatever happens."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.agent.output import BoundedLog
from distribution.agent.process import Command, Exit, Launcher, Running, _start_time, alive, read_record
from distribution.errors import HostError
from tests.fakes.besieged_agent import wait_until


def sh(script: str, folder: Path | None = None) -> Command:
    return Command(("/bin/sh", "-c", script), {"PATH": os.environ["PATH"], "WORD": "hello"}, folder)


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    made = Launcher(tmp_path / "program.json", BoundedLog(tmp_path / "log" / "out", 4096), 2.0)
    yield made
    made.end_orphan()


def wait_for_exit(running: Running) -> Exit:
    wait_until(lambda: running.exit() is not None)
    ended = running.exit()
    assert ended is not None
    return ended


def test_a_program_gets_its_environment_and_its_output_is_kept(launcher: Launcher, tmp_path: Path) -> None:
    """Nothing but the given environment, no input, output and errors in one file."""
    running = launcher.start(sh('echo "$WORD"; cat; pwd; echo oops >&2; exit 3', tmp_path))
    assert str(wait_for_exit(running)) == "exited with status 3"
    assert launcher.log.tail() == f"hello\n{tmp_path}\noops"
    assert running.fileno() == -1


def test_an_end_by_a_signal_is_named(launcher: Launcher) -> None:
    """A signal is reported by its name."""
    assert str(wait_for_exit(launcher.start(sh("kill -SEGV $$")))) == "was ended by SIGSEGV"
    assert str(Exit(-200)) == "was ended by signal 200"


def test_what_cannot_be_started_says_why(launcher: Launcher, tmp_path: Path) -> None:
    """A missing folder is an error at once; a missing file ends the program with 127."""
    with pytest.raises(HostError, match=f"cannot start /bin/sh in {tmp_path}/gone"):
        launcher.start(sh("true", tmp_path / "gone"))
    with pytest.raises(HostError, match="cannot start /bin/sh"):
        launcher.start(Command(("/bin/sh", "a\0b"), {}))
    running = launcher.start(Command((str(tmp_path / "nothing"),), {}))
    assert wait_for_exit(running) == Exit(127)


def test_a_program_that_ignores_the_request_is_killed(launcher: Launcher, tmp_path: Path) -> None:
    """After the time for ending by itself, the program and everything it started is killed."""
    script = f"trap '' TERM; sleep 1000 & echo $! > {tmp_path}/child; while :; do wait; done"
    running = Launcher(tmp_path / "program.json", launcher.log, 0.2).start(sh(script))
    wait_until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().endswith("\n"))
    assert running.stop() == Exit(-signal.SIGKILL)
    assert running.stop() == Exit(-signal.SIGKILL)
    wait_until(lambda: _start_time(int((tmp_path / "child").read_text())) is None)


def test_what_a_program_leaves_behind_is_ended_with_it(launcher: Launcher, tmp_path: Path) -> None:
    """A program that ends by itself leaves no children running."""
    running = launcher.start(sh(f"sleep 1000 & echo $! > {tmp_path}/child"))
    assert wait_for_exit(running) == Exit(0)
    wait_until(lambda: _start_time(int((tmp_path / "child").read_text())) is None)


def test_a_record_that_cannot_be_written_means_that_nothing_ran(launcher: Launcher, tmp_path: Path) -> None:
    """Without a record on disk the program never gets to its first line."""
    (tmp_path / ".program.json.new").mkdir()
    with pytest.raises(HostError, match="cannot write"):
        launcher.start(sh(f"touch {tmp_path}/ran"))
    assert not (tmp_path / "ran").exists()


def test_an_agent_that_dies_before_the_record_leaves_nothing(tmp_path: Path) -> None:
    """Killed between starting a process and recording it, the agent leaves no program behind."""
    script = f"""
import os, signal
from pathlib import Path
from distribution.agent import process
from distribution.agent.output import BoundedLog
process.write_file = lambda path, data: os.kill(os.getpid(), signal.SIGKILL)
log = BoundedLog(Path({str(tmp_path / "out")!r}), 4096)
launcher = process.Launcher(Path({str(tmp_path / "program.json")!r}), log, 1.0)
launcher.start(process.Command(("/usr/bin/env", "touch", {str(tmp_path / "ran")!r}), dict(os.environ)))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    pids = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
    marks = str(tmp_path / "ran").encode()

    def still_there() -> bool:
        return any(_start_time(pid) is not None and marks in _words(pid) for pid in pids)

    wait_until(lambda: not still_there())
    assert not (tmp_path / "ran").exists()


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_an_orphan_is_found_and_ended(launcher: Launcher, tmp_path: Path) -> None:
    """A program of an agent that is gone is found by its record and ended; a second look finds nothing."""
    running = launcher.start(sh("exec sleep 1000"))
    heir = Launcher(tmp_path / "program.json", launcher.log, 2.0)
    assert alive(tmp_path / "program.json") == running.pid
    assert heir.end_orphan() == running.pid
    assert wait_for_exit(running) == Exit(-signal.SIGTERM)
    assert alive(tmp_path / "program.json") is None
    assert heir.end_orphan() is None


def test_an_orphan_that_ignores_the_request_is_killed(launcher: Launcher, tmp_path: Path) -> None:
    """An orphan gets the same two signals as a child."""
    running = launcher.start(sh(f"trap '' TERM; touch {tmp_path}/ready; while :; do sleep 0.1; done"))
    wait_until((tmp_path / "ready").exists)
    assert Launcher(tmp_path / "program.json", launcher.log, 0.1).end_orphan() == running.pid
    assert wait_for_exit(running) == Exit(-signal.SIGKILL)


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}, {"pid": 2**22 - 1}])
def test_another_process_is_never_taken_for_ours(
    launcher: Launcher, tmp_path: Path, change: dict[str, object]
) -> None:
    """A pid that was given away again, or belongs to another boot, is left alone."""
    record = tmp_path / "program.json"
    running = launcher.start(sh("exec sleep 1000"))
    record.write_text(json.dumps({**(read_record(record) or {}), **change}))
    assert launcher.end_orphan() is None
    assert alive(record) is None
    assert running.exit() is None
    running.stop()


@pytest.mark.parametrize("content", ["", "[1]", "{}"])
def test_a_record_that_is_none_is_ignored(launcher: Launcher, tmp_path: Path, content: str) -> None:
    """Without a record there is nothing to end; `forget` leaves no record."""
    (tmp_path / "program.json").write_text(content)
    assert launcher.end_orphan() is None
    launcher.forget()
    launcher.forget()
    assert read_record(tmp_path / "program.json") is None


def test_the_output_is_bounded(tmp_path: Path) -> None:
    """Beyond its size the file is cut to one predecessor of that size; the program writes on."""
    log = BoundedLog(tmp_path / "log" / "out", 10)
    assert log.rotate() is False
    assert log.tail() == ""
    descriptor = log.open()
    os.write(descriptor, b"0123456789abc\n")
    assert log.rotate() is True
    os.write(descriptor, b"more\n")
    os.close(descriptor)
    assert (tmp_path / "log" / "out.1").read_bytes() == b"456789abc\n"
    assert (tmp_path / "log" / "out").read_bytes() == b"more\n"
    assert log.rotate() is False


def test_an_output_that_cannot_be_kept_is_named(tmp_path: Path) -> None:
    """A file that cannot be opened or cut is named."""
    (tmp_path / "out").mkdir()
    with pytest.raises(HostError, match="cannot open"):
        BoundedLog(tmp_path / "out", 10).open()
    (tmp_path / "long").write_bytes(b"x" * 20)
    (tmp_path / "long.1").mkdir()
    with pytest.raises(HostError, match="cannot rotate"):
        BoundedLog(tmp_path / "long", 10).rotate()
