"""Where one agent stands with the configuration that is intended for it. Decided from values alone.

Rules:

1. `failed` and `applying` are the agent's words. `applied` is believed only when its effective configuration
   shows it, where the agent reports one: known clients say so of what they have just failed to apply.
2. Where it said applied and its effective configuration was not compared yet, it is `claimed`.
3. Where its effective configuration does not show it, it is `untrue`; if it did show it before, `drifted`.
"""

from dataclasses import dataclass
from enum import Enum

from distribution.domain.agent import AgentView, Capability
from distribution.domain.attempts import is_of
from distribution.domain.configuration import Agreement, ConfigState, EffectiveSeen, RemoteConfig


class Standing(Enum):
    """Where an agent stands; the words of API and commands."""

    NOT_OFFERED = "not offered"
    OFFERED = "offered"
    """It is due or was told, and the agent has not spoken of it."""
    APPLYING = "applying"
    CLAIMED = "claimed"
    """The agent says applied; its effective configuration is still to show it."""
    APPLIED = "applied"
    FAILED = "failed"
    UNTRUE = "untrue"
    """The agent says applied; its effective configuration shows otherwise."""
    DRIFTED = "drifted"
    """It was applied and shown to be; now the effective configuration shows otherwise."""


@dataclass(frozen=True, slots=True)
class ConfigStanding:
    """Where an agent stands and why: its own words, or what was found."""

    standing: Standing
    why: str = ""


def standing_of(view: AgentView, intended: RemoteConfig | None, problem: str = "") -> ConfigStanding:
    """Return where the agent stands with `intended`.

    Args:
        view: what is known of the agent.
        intended: what it is to run; None if nothing is, or it cannot be decided.
        problem: why it is None, if there is more to say than that nothing is assigned.
    """
    if intended is None:
        return ConfigStanding(Standing.NOT_OFFERED, problem or "no configuration is assigned to it")
    if not view.capabilities & Capability.ACCEPTS_REMOTE_CONFIG:
        why = (
            "does not accept remote configuration"
            if view.capabilities
            else "has not said yet what it accepts"
        )
        return ConfigStanding(Standing.NOT_OFFERED, f"agent {why}")
    seen = view.effective if view.effective and view.effective.intended == intended.digest else None
    said = view.config
    if said is None or said.state is ConfigState.UNSET or not is_of(intended.digest, said.hash):
        return _unspoken(view, seen)
    if said.state is ConfigState.APPLIED:
        return _said_applied(view, seen)
    if said.state is ConfigState.FAILED:
        return ConfigStanding(Standing.FAILED, said.error)
    return ConfigStanding(Standing.APPLYING)


def _unspoken(view: AgentView, seen: EffectiveSeen | None) -> ConfigStanding:
    """An agent that says nothing of this content; some never report a status, and only run it."""
    if seen is not None and seen.agreement is Agreement.AGREES:
        return ConfigStanding(Standing.APPLIED, "shown by its effective configuration alone")
    if seen is not None and seen.agreement is Agreement.DIFFERS and seen.agreed:
        return ConfigStanding(Standing.DRIFTED, seen.why)
    if not view.connected:
        return ConfigStanding(Standing.NOT_OFFERED, "agent is not connected")
    return ConfigStanding(Standing.OFFERED)


def _said_applied(view: AgentView, seen: EffectiveSeen | None) -> ConfigStanding:
    if not view.capabilities & Capability.REPORTS_EFFECTIVE_CONFIG:
        return ConfigStanding(Standing.APPLIED, "by the agent's word alone: it reports no effective one")
    if seen is None:
        return ConfigStanding(Standing.CLAIMED, "its effective configuration is still to show it")
    match seen.agreement:
        case Agreement.AGREES:
            return ConfigStanding(Standing.APPLIED)
        case Agreement.DIFFERS:
            return ConfigStanding(Standing.DRIFTED if seen.agreed else Standing.UNTRUE, seen.why)
        case Agreement.UNKNOWN:
            return ConfigStanding(Standing.CLAIMED, seen.why)
