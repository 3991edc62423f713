"""Moves the host towards the last offer: one package at a time, refusals remembered with a growing pause.

The keeper runs in a thread of its own; verification and downloads run in another, so that a crash of the
program is noticed during a long download. Whether the server can be reached changes nothing here: without
a new offer the keeper goes on with the last one, and without any it keeps the program running.
"""

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from distribution.agent import install
from distribution.agent.backoff import delay
from distribution.agent.config import AgentConfig
from distribution.agent.host import Host
from distribution.agent.install import Prepare, Remove, Rename, held
from distribution.agent.ports import Prepared, Source, Submit
from distribution.agent.report import Doing, Progress, Refusal, Report, package_reports
from distribution.agent.rules import Wanted, WantedSet
from distribution.errors import DistributionError, HostError

logger = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS = 2.0
_LONGEST_RETRY_SECONDS = 600.0
_RESTART_AGAIN_SECONDS = 30.0
_OFFERS_WAITING_MAX = 16
"""Offers kept while the keeper is busy; of more, the oldest are dropped, since the last one counts."""


class Keeper:
    """Decides and acts in `step`; `offer` and `restart_program` may be called from any thread."""

    def __init__(
        self,
        config: AgentConfig,
        host: Host,
        source: Source,
        *,
        submit: Submit,
        monotonic: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._config = config
        self._host = host
        self._source = source
        self._submit = submit
        self._monotonic = monotonic
        self._wake = wake
        self._doing = Doing()
        self._preparing: tuple[Wanted, Future[Prepared]] | None = None
        self._offers: deque[WantedSet] = deque(maxlen=_OFFERS_WAITING_MAX)
        self._restart_wanted = False
        self._restart_from = 0.0
        self._progress: Progress | None = None
        self.report = self._report()

    def offer(self, wanted: WantedSet) -> None:
        """Hand over an offer; it replaces the one before."""
        self._offers.append(wanted)
        self._wake()

    def restart_program(self) -> None:
        """Have the program stopped and started again."""
        self._restart_wanted = True
        self._wake()

    def _note_progress(self, progress: Progress) -> None:
        self._progress = progress
        self._wake()

    def start(self) -> None:
        """Resume what the state says. An orphan must have been ended before. Raises HostError."""
        self._host.start()
        self.report = self._report()

    def step(self) -> float | None:
        """Do what is due. Returns after how many seconds there is more to do; None: only on an event.

        Raises:
            HostError: the disk or the system refused; the agent cannot go on.
        """
        self._take_inbox()
        self._host.step()
        self._take_prepared()
        self._begin_next()
        self.report = self._report()
        return self._due_in()

    def fileno(self) -> int:
        """Return a descriptor that is readable once the program has ended, or -1."""
        return self._host.watch.fileno()

    def stop(self) -> None:
        """Stop the program; the state stays as it is. Raises HostError if it does not end."""
        self._host.watch.stop()

    def _take_inbox(self) -> None:
        while self._offers:
            self._host.take_up(self._offers.popleft())
            self._forget_old_refusals()
        if self._restart_wanted:
            self._restart_wanted = False
            self._restart()
        if self._preparing is not None:
            self._doing = replace(self._doing, progress=self._progress)

    def _restart(self) -> None:
        # A server that asks again and again must not keep the program from running, or a trial from ending.
        if self._host.state.trial is not None or self._monotonic() < self._restart_from:
            logger.warning("the server's request to restart the program comes too soon and is ignored")
            return
        self._restart_from = self._monotonic() + _RESTART_AGAIN_SECONDS
        logger.info("restarting the program, as the server asked")
        self._host.run_current()

    def _begin_next(self) -> None:
        if self._preparing is not None:
            return
        match install.next_action(self._host.state, self._config.packages, self._waiting):
            case Prepare(wanted):
                self._prepare(wanted)
            case Remove(package):
                self._remove(package)
            case Rename(package, offer_hash):
                self._host.rename(package, offer_hash)
                self._wake()

    def _remove(self, package: str) -> None:
        try:
            self._host.try_without(package)
        except HostError:
            logger.exception("an addon could not be taken away", extra={"package": package})

    def _waiting(self, wanted: Wanted) -> bool:
        refusal = self._refusal_of(wanted)
        return refusal is not None and self._monotonic() < refusal.retry_at

    def _refusal_of(self, wanted: Wanted) -> Refusal | None:
        refusal = self._doing.refusals.get(wanted.name)
        return refusal if refusal is not None and refusal.offer_hash == wanted.hash else None

    def _prepare(self, wanted: Wanted) -> None:
        installed = self._host.state.healthy.get(wanted.name)
        version = installed.version if installed else None
        rule = self._config.packages.get(wanted.name)
        self._progress = None
        self._doing = replace(self._doing, preparing=wanted.name, progress=None)
        future = self._submit(lambda: self._source.prepare(rule, wanted, version, self._note_progress))
        self._preparing = (wanted, future)
        future.add_done_callback(lambda _: self._wake())

    def _take_prepared(self) -> None:
        if self._preparing is None or not self._preparing[1].done():
            return
        wanted, future = self._preparing
        self._preparing = None
        self._doing = replace(self._doing, preparing=None, progress=None)
        try:
            prepared = future.result()
            if self._still_wanted(wanted):
                self._host.try_new(wanted.name, prepared, wanted.hash)
                self._forget_refusal(wanted.name)
        except DistributionError as exc:
            self._refuse(wanted, str(exc))
        except Exception as exc:
            logger.exception("preparing a package failed unexpectedly", extra={"package": wanted.name})
            self._refuse(wanted, f"unexpected {type(exc).__name__} on this host; see its log")

    def _still_wanted(self, wanted: Wanted) -> bool:
        offer = self._host.state.offer
        return offer is not None and offer.packages.get(wanted.name) == wanted

    def _refuse(self, wanted: Wanted, reason: str) -> None:
        before = self._refusal_of(wanted)
        attempts = before.attempts + 1 if before else 1
        pause = delay(attempts, _FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS, 0.0)
        refusal = Refusal(wanted.hash, reason, attempts, self._monotonic() + pause)
        logger.warning("refused: %s", reason, extra={"package": wanted.name, "again_in_seconds": pause})
        self._doing = replace(self._doing, refusals={**self._doing.refusals, wanted.name: refusal})

    def _forget_refusal(self, name: str) -> None:
        rest = {key: each for key, each in self._doing.refusals.items() if key != name}
        self._doing = replace(self._doing, refusals=rest)

    def _forget_old_refusals(self) -> None:
        """Keep the refusals of what is offered and not held: any other would never be looked at again."""
        state = self._host.state
        offered = state.offer.packages if state.offer else {}
        kept = {
            name: refusal
            for name, refusal in self._doing.refusals.items()
            if name in offered and offered[name].hash == refusal.offer_hash and not held(state, offered[name])
        }
        self._doing = replace(self._doing, refusals=kept)

    def _due_in(self) -> float | None:
        if self._offers or self._restart_wanted:
            return 0.0
        now = self._monotonic()
        watch = self._host.watch.due_in()
        dues = [] if watch is None else [watch]
        state = self._host.state
        if self._preparing is None and state.offer is not None and state.trial is None:
            refusals = (self._refusal_of(each) for each in state.offer.packages.values())
            dues += [max(0.0, refusal.retry_at - now) for refusal in refusals if refusal is not None]
        return min(dues, default=None)

    def _report(self) -> Report:
        state = self._host.state
        program = state.running.get(self._config.program.package)
        return Report(
            packages=package_reports(state, self._doing),
            offer_hash=state.offer.hash if state.offer else b"",
            health=self._host.watch.health(),
            version=program.version.text if program else "",
        )
