"""What a server does again and again: try the database, write status, renew what expires, have things judged.

While the database is away what would write is left for later: it would only wait, and what changed is kept.
When it is there again, everybody is woken: a change may have been committed and nobody told.
"""

from collections.abc import Callable

from distribution.compose.core import Core
from distribution.flows.pulse import Pulse
from distribution.transport.listeners import Job
from storage import journal_head

FLUSH_SECONDS = 1.0
PULSE_SECONDS = 1.0
JUDGE_SECONDS = 1.0
KEEP_HEAD_SECONDS = 5.0
REFRESH_SECONDS = 600.0


def jobs_of(core: Core, pulse: Pulse) -> tuple[Job, ...]:
    """Return the jobs, the pulse of the database first."""

    def refresh() -> None:
        core.repository.refresh(core.clock())
        core.catalogues.reload(core.clock())

    def flush() -> None:
        core.registry.sweep(core.clock())
        if pulse.why_away() is None:  # else what changed is kept in memory, once for each agent
            core.registry.flush()

    def keep_head() -> None:
        if pulse.why_away() is None:
            journal_head.advance(core.database, core.store)

    def judge_together() -> None:
        if core.together.judge_waiting():
            core.hub.wake()

    return (
        Job("try database", PULSE_SECONDS, _try_database(core, pulse)),
        Job("refresh repository", REFRESH_SECONDS, refresh),
        Job("flush fleet", FLUSH_SECONDS, flush),
        Job("judge configurations", JUDGE_SECONDS, judge_together),
        Job("keep journal head", KEEP_HEAD_SECONDS, keep_head),
    )


def _try_database(core: Core, pulse: Pulse) -> Callable[[], None]:
    doubts = core.database.doubts

    def run() -> None:
        nonlocal doubts
        was_away = pulse.why_away() is not None
        pulse.beat()
        if pulse.why_away() is not None:
            return
        if was_away or doubts != core.database.doubts:
            doubts = core.database.doubts
            core.hub.owed.note(None)
        if core.hub.owed:
            core.registry.relabel()
            core.hub.wake_owed()

    return run
