"""One program under watch: started, checked, restarted after a crash with a growing pause.

The watch knows nothing of offers or versions. It tells its keeper how a trial went; outside a trial it
restarts by itself, for ever: whatever the server says or does not say, an installed program keeps running.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from distribution.agent.backoff import delay
from distribution.agent.config import HealthConfig, TrialConfig
from distribution.agent.health import Checked, Pulse, Verdict, after, due_in, judge
from distribution.agent.ports import Child, Starter
from distribution.agent.process import Command, Exit
from distribution.agent.report import HealthReport
from distribution.errors import HostError

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0


class Watch:
    """Runs one command at a time. Not thread-safe: it belongs to the keeper's thread."""

    def __init__(
        self,
        starter: Starter,
        ask: Callable[[], Checked],
        *,
        health: HealthConfig,
        trial: TrialConfig,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._starter = starter
        self._ask = ask
        self._health = health
        self._trial = trial
        self._monotonic = monotonic
        self._now = now
        self._command: Command | None = None
        self._label = ""
        self._on_trial = False
        self._child: Child | None = None
        self._pulse = Pulse(0.0)
        self._since: datetime | None = None
        self._check_at = 0.0
        self._restart_at: float | None = None
        self._crashes = 0
        self._error = ""

    def run(self, command: Command, label: str, *, trial: bool) -> None:
        """Stop what runs and start `command`; `label` is what to call it in reports.

        Raises:
            HostError: it cannot be started. Outside a trial it is tried again by `step`.
        """
        self.stop()
        self._command, self._label, self._on_trial = command, label, trial
        self._crashes, self._error = 0, ""
        self._start()

    def stop(self) -> None:
        """Stop what runs; nothing is started again. Raises HostError if it does not end."""
        self._command, self._restart_at = None, None
        if self._child is not None:
            self._child.stop()
            self._child = None
            self._starter.forget()

    def _start(self) -> None:
        if self._command is None:
            return
        self._restart_at = None
        try:
            self._child = self._starter.start(self._command)
        except HostError as exc:
            self._plan_restart(str(exc))
            raise
        self._pulse = Pulse(self._monotonic())
        self._since = self._now()
        self._check_at = self._monotonic()

    def step(self) -> Verdict | None:
        """Do what is due; return how a trial ended, if it just did."""
        if self._child is None:
            self._restart_if_due()
            return None
        ended = self._child.exit()
        if ended is not None:
            return self._note_exit(ended)
        if self._monotonic() >= self._check_at:
            self._check()
        return judge(self._pulse, self._trial, self._monotonic()) if self._on_trial else None

    def kept(self) -> None:
        """The trial is over and the program stays: from now on it is restarted when it ends."""
        self._on_trial = False

    def _check(self) -> None:
        was_well = self._pulse.well_since is not None
        self._pulse = after(self._pulse, self._ask(), self._monotonic(), self._health.failures)
        self._check_at = self._monotonic() + self._health.interval_seconds
        if self._pulse.well_since is not None:
            self._error = ""
        elif was_well or self._pulse.failures >= self._health.failures:
            self._error = f"{self._label} is not healthy: {self._pulse.seen}"

    def _note_exit(self, ended: Exit) -> Verdict | None:
        age = self._monotonic() - self._pulse.started
        self._child = None
        self._starter.forget()
        why = f"{ended} after {age:.1f} s"
        logger.warning("program ended", extra={"program": self._label, "why": why})
        if self._on_trial:
            self._command = None
            return Verdict(kept=False, why=why)
        if age >= _LONGEST_PAUSE_SECONDS:
            self._crashes = 0
        self._plan_restart(f"{self._label} {why}")
        return None

    def _plan_restart(self, error: str) -> None:
        self._crashes += 1
        pause = delay(self._crashes, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, 0.0)
        self._restart_at = self._monotonic() + pause
        self._error = error
        self._since = None

    def _restart_if_due(self) -> None:
        if self._restart_at is not None and self._monotonic() >= self._restart_at:
            try:
                self._start()
            except HostError:
                logger.exception("program could not be started again")

    def fileno(self) -> int:
        """Return a descriptor that is readable once the program has ended, or -1."""
        return self._child.fileno() if self._child else -1

    def due_in(self) -> float | None:
        """Return after how many seconds `step` has something to do; None: only if the program ends."""
        now = self._monotonic()
        if self._child is None:
            return None if self._restart_at is None else max(0.0, self._restart_at - now)
        check = max(0.0, self._check_at - now)
        return min(check, due_in(self._pulse, self._trial, now)) if self._on_trial else check

    def health(self) -> HealthReport:
        """Return the program's health as it is to be reported."""
        if self._child is None:
            status = "stopped" if self._restart_at is None else "waiting to be restarted"
            return HealthReport(well=False, status=status, error=self._error)
        well = self._pulse.well_since is not None
        status = ("on trial" if self._on_trial else "running") if well else "starting"
        return HealthReport(well=well, status=f"{status} {self._label}", error=self._error, since=self._since)
