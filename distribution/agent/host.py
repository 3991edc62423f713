"""The installed sets of this host: the one place that writes the state and acts on it.

Every change is: write the state, then act on it. A death between any two lines leaves a state that the
next start can act on: a set on trial is tried again, a healthy set is run. Bytes on disk that no longer
have their digest are never run.
"""

import logging
from collections.abc import Mapping

from distribution.agent import install
from distribution.agent.config import AgentConfig
from distribution.agent.health import Verdict
from distribution.agent.ports import Disk, Prepared
from distribution.agent.process import Command
from distribution.agent.rules import WantedSet
from distribution.agent.state import Packages, State, Trial
from distribution.agent.watch import Watch
from distribution.errors import HostError

logger = logging.getLogger(__name__)


class Host:
    """Runs what the state says. Not thread-safe: it belongs to the keeper's thread."""

    def __init__(
        self, config: AgentConfig, disk: Disk, watch: Watch, *, environment: Mapping[str, str]
    ) -> None:
        self._config = config
        self._disk = disk
        self._environment = environment
        self.watch = watch
        self.state = disk.load()
        self._owed = False

    def start(self) -> None:
        """Resume what the state says. An orphan must have been ended before. Raises HostError."""
        self._disk.clean(self.state)
        self.run_current()

    def step(self) -> None:
        """Do what is due for the program, and end a trial that is decided."""
        if self._owed:
            self._note(self.state)
        verdict = self.watch.step()
        if verdict is not None:
            self._end_trial(verdict)

    def take_up(self, offer: WantedSet) -> None:
        """Note the offer, so that reports repeat its hash even after the agent's own death."""
        self._note(install.take_up(self.state, offer))

    def rename(self, package: str, offer_hash: bytes) -> None:
        """Note that the server names an installed content by another hash."""
        self._note(install.rename(self.state, package, offer_hash))

    def try_new(self, package: str, prepared: Prepared, offer_hash: bytes) -> None:
        """Install a verified file beside the others and put it on trial.

        Raises:
            HostError: the disk refused; nothing has changed and the program was not touched.
        """
        installed = self._disk.install(prepared.artifact, prepared.staged, offer_hash)
        self._write_ahead(install.begin(self.state, package, installed))
        logger.info("trying %s %s", package, installed.version)
        self._start_trial(self.state.running)

    def try_without(self, package: str) -> None:
        """Put the set without an addon on trial. Raises HostError as `try_new` does."""
        self._write_ahead(install.begin_removal(self.state, package))
        logger.info("trying the set without %s, which the offer leaves out", package)
        self._start_trial(self.state.running)

    def run_current(self) -> None:
        """Stop the program and start what the state says. Raises HostError."""
        if self.state.trial is not None:
            self._resume_trial(self.state.trial)
        else:
            self._run_healthy()

    def _write_ahead(self, state: State) -> None:
        self._disk.save(state)
        self.state = state

    def _note(self, state: State) -> None:
        """Take a step that is safe to lose: if the disk refuses now, it is written later.

        Dying before that resumes the trial, which ends the same way. What must not happen is a host
        without a running program because its disk is full.
        """
        if state == self.state and not self._owed:
            return
        self.state = state
        try:
            self._disk.save(state)
            self._owed = False
        except HostError:
            if not self._owed:
                logger.exception("the state could not be written; it will be tried again")
            self._owed = True

    def _resume_trial(self, trial: Trial) -> None:
        if trial.starts >= self._config.trial.interruptions:
            self._fall_back(f"was cut short {trial.starts} times by the agent's own end")
            return
        damaged = [each for each in trial.packages.values() if not self._disk.intact(each)]
        if damaged:
            self._fall_back(f"was altered on this host's disk: {damaged[0].file} is not {damaged[0].sha256}")
            return
        self._write_ahead(install.started(self.state))
        self._start_trial(trial.packages)

    def _start_trial(self, packages: Packages) -> None:
        command = self._command(packages)
        if command is None:
            self.watch.stop()
            self._end_trial(Verdict(kept=True))
            return
        try:
            self.watch.run(command, self._label(packages), trial=True)
        except HostError as exc:
            self._fall_back(f"could not be started: {exc}")

    def _run_healthy(self) -> None:
        mended = install.without_damaged(self.state, self._disk.intact)
        if mended != self.state:
            logger.error("an installed file was altered on disk and is left out", extra=_versions(mended))
            self._note(mended)
        command = self._command(self.state.healthy)
        if command is None:
            self.watch.stop()
            return
        try:
            self.watch.run(command, self._label(self.state.healthy), trial=False)
        except HostError:
            logger.exception("the program could not be started; it will be tried again")

    def _end_trial(self, verdict: Verdict) -> None:
        if not verdict.kept:
            self._fall_back(verdict.why)
            return
        self._note(install.confirm(self.state))
        self.watch.kept()
        logger.info("trial passed", extra=_versions(self.state))
        self._disk.clean(self.state)

    def _fall_back(self, why: str) -> None:
        state, reason = install.fall_back(self.state, why)
        self._note(state)
        logger.error("trial failed: %s", reason, extra=_versions(state))
        self._run_healthy()
        self._disk.clean(self.state)

    def _command(self, packages: Packages) -> Command | None:
        program = packages.get(self._config.program.package)
        if program is None:
            return None
        holes = {f"{{package.{name}}}": str(self._disk.path_of(each)) for name, each in packages.items()}
        holes["{program}"] = str(self._disk.path_of(program))
        words = (_fill(word, holes) for word in self._config.program.command)
        return Command(
            # An argument for an addon that is not installed is left out.
            argv=tuple(word for word in words if "{package." not in word),
            environment={**self._environment, **self._config.program.environment},
            folder=self._config.program.folder,
        )

    def _label(self, packages: Packages) -> str:
        name = self._config.program.package
        return f"{name} {packages[name].version}"


def _fill(word: str, holes: Mapping[str, str]) -> str:
    for hole, value in holes.items():
        word = word.replace(hole, value)
    return word


def _versions(state: State) -> dict[str, str]:
    return {"healthy": ", ".join(f"{name} {each.version}" for name, each in state.healthy.items())}
