"""What a server does again and again: try the database, write status, renew what expires, have things judged.

While the database is away what would write is left for later: it would only wait, and what changed is kept.
"""

from distribution.compose.core import Core
from distribution.flows.pulse import Pulse
from distribution.transport.healing import Healing
from distribution.transport.listeners import Job
from storage import journal_head

FLUSH_SECONDS = 1.0
PULSE_SECONDS = 1.0
JUDGE_SECONDS = 1.0
KEEP_HEAD_SECONDS = 5.0
REFRESH_SECONDS = 600.0


def jobs_of(core: Core, pulse: Pulse) -> tuple[Job, ...]:
    """Return the jobs, the pulse of the database first."""
    healing = Healing(
        pulse,
        core.database,
        core.hub,
        readmit=core.admission.read_again,
        relabel=core.registry.relabel,
    )

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
        Job("try database", PULSE_SECONDS, healing.beat),
        Job("refresh repository", REFRESH_SECONDS, refresh),
        Job("flush fleet", FLUSH_SECONDS, flush),
        Job("judge configurations", JUDGE_SECONDS, judge_together),
        Job("keep journal head", KEEP_HEAD_SECONDS, keep_head),
    )
