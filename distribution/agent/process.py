"""The program's process: started, stopped, found again after the agent's own death.

Rules:

1. Never two at once: a process left by an agent that was killed is ended before another is started.
2. A process is known by its pid, its start time and the boot it belongs to, so that a reused pid is never
   taken for it. The record is on disk before the program runs: a small shell waits for one line, which the
   agent writes after the record; if the agent dies in between, the shell ends and nothing runs.
3. It leads a session of its own; ending it ends everything it started: SIGTERM, then SIGKILL.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distribution.agent.output import BoundedLog
from distribution.agent.store import sync_folder, write_file
from distribution.errors import HostError

_WAIT_FOR_A_LINE = 'IFS= read -r line || exit 125; exec "$@" </dev/null'
_KILL_SECONDS = 10.0
_START_TIME_FIELD = 19  # proc(5): field 22, counted from the third, which follows the name's bracket


@dataclass(frozen=True, slots=True)
class Command:
    """What to start. `argv` is run without a shell."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended: its exit status, or minus the number of the signal that ended it."""

    code: int

    def __str__(self) -> str:
        if self.code >= 0:
            return f"exited with status {self.code}"
        try:
            return f"was ended by {signal.Signals(-self.code).name}"
        except ValueError:
            return f"was ended by signal {-self.code}"


class Running:
    """A program this agent started."""

    def __init__(self, process: "subprocess.Popen[bytes]", pidfd: int, stop_seconds: float) -> None:
        self._process = process
        self._pidfd = pidfd
        self._stop_seconds = stop_seconds
        self._exit: Exit | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Return a descriptor that is readable once the program has ended; -1 once that was noticed."""
        return -1 if self._exit else self._pidfd

    def exit(self) -> Exit | None:
        """Return how the program ended, or None while it runs."""
        if self._exit is None and _ended(self._pidfd, 0):
            self._end_group_and_reap()
        return self._exit

    def stop(self) -> Exit:
        """End the program and all it started. Raises HostError if the system does not end it."""
        if self._exit is None:
            _signal_group(self.pid, signal.SIGTERM)
            if not _ended(self._pidfd, self._stop_seconds):
                _signal_group(self.pid, signal.SIGKILL)
                if not _ended(self._pidfd, _KILL_SECONDS):
                    raise HostError(f"program with pid {self.pid} did not end after SIGKILL")
            self._end_group_and_reap()
        if self._exit is None:
            raise RuntimeError("a program that was reaped has no exit")
        return self._exit

    def _end_group_and_reap(self) -> None:
        # The leader is a zombie until it is reaped, so its number still names its group and nobody else's.
        _signal_group(self.pid, signal.SIGKILL)
        self._exit = Exit(self._process.wait())
        os.close(self._pidfd)


class Launcher:
    """Starts the program and keeps the record of its process."""

    def __init__(self, record: Path, log: BoundedLog, stop_seconds: float) -> None:
        self._record = record
        self.log = log
        self._stop_seconds = stop_seconds

    def start(self, command: Command) -> Running:
        """Start a program; `end_orphan` must have been called since the agent's own start.

        Raises:
            HostError: it cannot be started, or its record cannot be written (then it never ran).
        """
        process = self._spawn(command)
        pidfd = os.pidfd_open(process.pid)
        try:
            write_file(self._record, _record_of(process.pid, command))
            _release(process)
        except BaseException:
            _close_input(process)
            Running(process, pidfd, 0).stop()
            raise
        return Running(process, pidfd, self._stop_seconds)

    def _spawn(self, command: Command) -> "subprocess.Popen[bytes]":
        output = self.log.open()
        try:
            return subprocess.Popen(  # noqa: S603 - argv is the host's own
                ["/bin/sh", "-c", _WAIT_FOR_A_LINE, "sh", *command.argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(command.environment),
                cwd=command.folder,
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            place = f" in {command.folder}" if command.folder else ""
            raise HostError(f"cannot start {command.argv[0]}{place}: {exc}") from exc
        finally:
            os.close(output)

    def forget(self) -> None:
        """Drop the record of a program that has ended."""
        self._record.unlink(missing_ok=True)
        sync_folder(self._record.parent)

    def end_orphan(self) -> int | None:
        """End a program that an earlier agent left running; return its pid if there was one.

        Raises:
            HostError: it does not end.
        """
        found = self._orphan()
        if found is None:
            return None
        pid, pidfd = found
        try:
            for number, seconds in ((signal.SIGTERM, self._stop_seconds), (signal.SIGKILL, _KILL_SECONDS)):
                _signal_group(pid, number)
                if _ended(pidfd, seconds):
                    _signal_group(pid, signal.SIGKILL)
                    return pid
        finally:
            os.close(pidfd)
        raise HostError(f"program with pid {pid}, left by an earlier agent, did not end after SIGKILL")

    def _orphan(self) -> tuple[int, int] | None:
        record = read_record(self._record)
        if record is None or record["boot"] != _boot():
            return None
        pid = int(record["pid"])
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if _start_time(pid) != record["started"]:
            os.close(pidfd)
            return None
        return pid, pidfd


def read_record(path: Path) -> Mapping[str, Any] | None:
    """Return the record of the program's process, or None if there is none."""
    try:
        record: Any = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) and {"pid", "started", "boot"} <= record.keys() else None


def alive(path: Path) -> int | None:
    """Return the pid of the recorded program if it lives now."""
    record = read_record(path)
    if record is None or record["boot"] != _boot() or _start_time(int(record["pid"])) != record["started"]:
        return None
    return int(record["pid"])


def _record_of(pid: int, command: Command) -> bytes:
    record = {"pid": pid, "started": _start_time(pid), "boot": _boot(), "argv": list(command.argv)}
    return json.dumps(record, sort_keys=True).encode() + b"\n"


def _release(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"\n")
            process.stdin.flush()
    _close_input(process)


def _close_input(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _start_time(pid: int) -> int | None:
    try:
        after_name = (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
        )
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields: Sequence[str] = after_name.split()
    # A zombie has ended: only its parent has not asked yet.
    return None if fields[0] == "Z" else int(fields[_START_TIME_FIELD])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _ended(pidfd: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(seconds * 1000))
