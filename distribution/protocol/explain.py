"""Why an agent's next offer is or is not made, in plain words, from the very decision that makes it.

Each part is decided here as the next message would decide it (`protocol.pacing`), and what comes of it is
said; so what is said here cannot differ from what is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from distribution.domain.agent import AgentView, Capability, Plan
from distribution.domain.config_standing import Standing as Seen
from distribution.domain.config_standing import standing_of
from distribution.domain.configuration import RemoteConfig
from distribution.protocol.asking import is_unsure
from distribution.protocol.pacing import Offered, Stance, decide, due
from distribution.protocol.session import Session, Standing
from distribution.protocol.stances import (
    is_mute,
    of_config,
    of_connections,
    of_packages,
    tried_config,
    tried_connections,
    tried_packages,
)

_MINUTE: Final = 60

_SAID: Final = {
    Stance.OPEN: "it did not say that it took it up",
    Stance.APPLYING: "it says that it is applying it",
    Stance.FAILED: "it tried and could not",
    Stance.HELD: "it has what it is to have",
    Stance.BUSY: "it works on packages",
}
_OF_CONFIG: Final[Mapping[Seen, str]] = {
    Seen.CLAIMED: "it says that it has it; its effective configuration is still to show it",
    Seen.UNTRUE: "it says that it has it, and its effective configuration shows otherwise",
    Seen.DRIFTED: "it had it, and its effective configuration does not show it any more",
}


@dataclass(frozen=True, slots=True)
class _Part:
    """How the agent stands to one part of its plan; `said` is that in words, for what is not just open."""

    digest: bytes
    stance: Stance
    tried: int
    offered: Offered | None
    said: str


_REMEMBERED: Final = (
    "it may remember that it failed these very bytes (quartermaster-agent does, after a failed trial) and "
    "not try them again before it was assigned another release"
)

_ONCE: Final = (
    "it was offered them, and does not report what became of them: it is offered the same ones once"
)


def explain(session: Session, plan: Plan, now: datetime) -> tuple[str, ...]:
    """Return one sentence for each part of the plan.

    Args:
        session: the agent's live session; for one that is not connected, a fresh one.
        plan: what it is to have.
        now: aware UTC.
    """
    if session.standing is Standing.ENROLLING:
        return ("it is enrolling: nothing is offered before it holds a credential of its own",)
    view = session.view
    again = "for its first message" if view.last_seen is None else "until it is heard again"
    lead = () if view.connected else (f"it is not connected: whatever is due waits {again}",)
    orders = () if plan.restart is None else ("restart: ordered, and told with the next message",)
    packages = _packages(session, plan, now)
    return (
        *lead,
        *_asked(session),
        packages,
        _config(session, plan, now),
        _connections(session, plan, now),
        *orders,
    )


def _asked(session: Session) -> tuple[str, ...]:
    """Say that it owes its full state; once asked it may just be about to say it."""
    asked = session.asked
    if asked is None or asked.times <= 1:
        return ()
    why = "a message over limits.message_max_bytes is refused"
    again = f"asked again from {asked.again_at:%FT%TZ} on"
    return (f"it was asked {asked.times} times to say everything and did not ({why}); {again}",)


def _packages(session: Session, plan: Plan, now: datetime) -> str:
    if plan.offer is None:
        return f"packages: nothing is offered, because {plan.problem or 'there is nothing to offer'}"
    unsure, digest = is_unsure(session.view, session.asked), plan.offer.hash
    stance = of_packages(session.view, plan, unsure=unsure)
    if stance is Stance.BUSY and unsure:
        return "packages: nothing is offered before it has said everything again: something is missing"
    if stance is Stance.BUSY:
        return "packages: nothing is offered while it works on packages"
    tried = tried_packages(session.view, digest)
    last = session.offered or session.earlier.packages_if(digest, stance)
    memory = f"; {_REMEMBERED}" if stance is Stance.FAILED else ""
    return f"packages: {_due(_Part(digest, stance, tried, last, _SAID[stance]), plan, now)}{memory}"


def _config(session: Session, plan: Plan, now: datetime) -> str:
    view, config = session.view, plan.config
    if config is None:
        return f"configuration: nothing is offered, because {plan.config_problem or 'none is assigned'}"
    if Capability.ACCEPTS_REMOTE_CONFIG not in view.capabilities:
        return "configuration: nothing is offered, because it does not accept remote configuration"
    stance, tried = of_config(view, plan), tried_config(view, config)
    last = session.config or session.earlier.config_if(config.digest, stance)
    part = _Part(config.digest, stance, tried, last, _config_said(view, config, stance))
    return f"configuration {config.origin or 'without a name'}: {_due(part, plan, now)}"


def _config_said(view: AgentView, config: RemoteConfig, stance: Stance) -> str:
    return _OF_CONFIG.get(standing_of(view, config).standing, _SAID[stance])


def _connections(session: Session, plan: Plan, now: datetime) -> str:
    view, wanted = session.view, plan.connections
    if wanted is None:
        return f"connection settings: nothing is offered, because {plan.connections_problem or 'none apply'}"
    stance, tried = of_connections(view, plan), tried_connections(view, wanted)
    mute = stance is Stance.HELD and is_mute(view)
    said = "it was sent them, and does not report what became of them" if mute else _SAID[stance]
    part = _Part(wanted.digest, stance, tried, session.connections, said)
    left_out = f"; {wanted.left_out}" if wanted.left_out else ""
    return f"connection settings: {_due(part, plan, now)}{left_out}"


def _due(part: _Part, plan: Plan, now: datetime) -> str:
    """Say what the next message leads to."""
    offered, stance, retry = part.offered, part.stance, plan.retry_first
    if stance is Stance.HELD:
        return f"nothing is due, because {part.said}"
    attempt, after = decide(offered, part.digest, stance, now, tried=part.tried, retry_first=retry)
    again = now if attempt or after is None else due(after, stance, retry)
    if offered is None or offered.hash != part.digest:
        if attempt:
            return "offered with the next message"
        wait = _span(again - now)
        return f"{part.said}, on an earlier connection; offered again {wait} after it is heard again"
    when = "with the next message" if attempt else f"at {again:%FT%TZ}"
    times = {0: "before it was started anew", 1: "once"}.get(offered.times, f"{offered.times} times")
    return f"offered {times}, last at {offered.at:%FT%TZ}; {part.said}; offered again {when}"


def _span(time: timedelta) -> str:
    minutes, seconds = divmod(round(time.total_seconds()), _MINUTE)
    return f"{minutes} min" if minutes and not seconds else f"{minutes * _MINUTE + seconds} s"
