"""How an agent stands to each part of its plan, from nothing but its own words and what was seen of them.

"Applied" is believed only where the effective configuration does not show otherwise: known clients say it of
configurations that they had just said had failed.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from distribution.domain.agent import AgentView, Capability, Components, Plan
from distribution.domain.attempts import attempt_of, is_of, numbered
from distribution.domain.configuration import (
    Agreement,
    ConfigObject,
    ConfigState,
    ConfigStatus,
    EffectiveSeen,
    RemoteConfig,
    digest_of,
)
from distribution.domain.connections import ConnectionOffer, ConnectionSet, ConnectionState, ConnectionStatus
from distribution.protocol.pacing import Stance

HASHED_MAX_BYTES: Final = 256 << 10

_OF_CONFIG: Final[Mapping[ConfigState, Stance]] = {
    ConfigState.UNSET: Stance.OPEN,
    ConfigState.APPLYING: Stance.APPLYING,
    ConfigState.APPLIED: Stance.HELD,
    ConfigState.FAILED: Stance.FAILED,
}
_OF_CONNECTIONS: Final[Mapping[ConnectionState, Stance]] = {
    ConnectionState.UNSET: Stance.OPEN,
    ConnectionState.APPLYING: Stance.APPLYING,
    ConnectionState.APPLIED: Stance.HELD,
    ConnectionState.FAILED: Stance.FAILED,
}


def of_packages(view: AgentView, plan: Plan, *, unsure: bool) -> Stance:
    """Return how the agent stands to the offered packages; HELD where there is nothing to offer.

    One that is `unsure` (`protocol.asking`) may be working on packages: it counts as if it did.
    """
    offer, held = plan.offer, view.packages
    if offer is None or Capability.ACCEPTS_PACKAGES not in view.capabilities:
        return Stance.HELD
    if held is not None and held.holds(offer):
        return Stance.HELD
    if unsure or (held is not None and held.busy):
        return Stance.BUSY
    if held is None:
        return Stance.OPEN
    return Stance.FAILED if held.troubled and held.failed(offer) else Stance.OPEN


def of_config(view: AgentView, plan: Plan) -> Stance:
    """Return how the agent stands to its remote configuration."""
    config = plan.config
    if config is None or Capability.ACCEPTS_REMOTE_CONFIG not in view.capabilities:
        return Stance.HELD
    seen = _agreement(view, config)
    said = view.config
    if said is None or not is_of(config.digest, said.hash):
        mute = Capability.REPORTS_REMOTE_CONFIG not in view.capabilities
        return Stance.HELD if mute and seen is Agreement.AGREES else Stance.OPEN
    lies = said.state is ConfigState.APPLIED and seen is Agreement.DIFFERS
    return Stance.FAILED if lies else _OF_CONFIG[said.state]


def is_examined(effective: Mapping[str, ConfigObject], view: AgentView, config: RemoteConfig | None) -> bool:
    """Whether this very effective configuration was compared with this before: agents say it all anew.

    A large one is always examined again: here, on the event loop, it would only be hashed.
    """
    seen, wanted = view.effective, b"" if config is None else config.digest
    if seen is None or seen.intended != wanted:
        return False
    size = sum(len(one.body) for one in effective.values())
    return size <= HASHED_MAX_BYTES and digest_of(effective) == seen.digest


def is_unseen(said: ConfigStatus | None, view: AgentView, config: RemoteConfig) -> bool:
    """Whether a message says applied while what was reported before was never compared with this.

    An agent whose effective configuration does not change need not report it again.
    """
    return (
        said is not None
        and said.state is ConfigState.APPLIED
        and is_of(config.digest, said.hash)
        and Capability.REPORTS_EFFECTIVE_CONFIG in view.capabilities
        and (view.effective is None or view.effective.intended != config.digest)
    )


def of_connections(view: AgentView, plan: Plan) -> Stance:
    """Return how the agent stands to its connection settings.

    An agent that does not report their status counts as having what it was offered, on whatever connection
    and after a restart of the server: one known client connects anew for each offer, and would do so for
    ever; it refuses some, without a word, and would refuse them again.
    """
    wanted, said = plan.connections, view.connections
    if wanted is None:
        return Stance.HELD
    if said is None or not is_of(wanted.digest, said.hash):
        return Stance.OPEN
    return Stance.HELD if is_mute(view) else _OF_CONNECTIONS[said.state]


def is_mute(view: AgentView) -> bool:
    """Whether all that is known of an agent's connection settings is that they were offered to it."""
    said = view.connections
    return (
        said is not None
        and said.state is ConnectionState.UNSET
        and Capability.REPORTS_CONNECTION_STATUS not in view.capabilities
    )


def seen(view: AgentView, outcome: object) -> AgentView:
    """Return the view after what an order came to: what was kept, or an offer that is about to be said.

    That it was offered is kept of an agent that will not say so itself, in the place of its word. Whatever
    else it came to changes nothing.
    """
    if isinstance(outcome, EffectiveSeen):
        return replace(view, effective=outcome)
    if isinstance(outcome, Components):
        return replace(view, components=outcome)
    if isinstance(outcome, ConnectionOffer) and Capability.REPORTS_CONNECTION_STATUS not in view.capabilities:
        named = numbered(outcome.settings.digest, outcome.attempt)
        return replace(view, connections=ConnectionStatus(ConnectionState.UNSET, named))
    return view


def tried_packages(view: AgentView, digest: bytes) -> int:
    """Return the number of the try of these packages that the agent speaks of; 0 if of none."""
    named = b"" if view.packages is None else view.packages.offer_hash
    return attempt_of(named) if is_of(digest, named) else 0


def tried_config(view: AgentView, config: RemoteConfig) -> int:
    """Return the number of the try of this configuration that the agent speaks of; 0 if of none."""
    named = b"" if view.config is None else view.config.hash
    return attempt_of(named) if is_of(config.digest, named) else 0


def tried_connections(view: AgentView, wanted: ConnectionSet) -> int:
    """Return the number of the try of these settings that the agent speaks of; 0 if of none."""
    named = b"" if view.connections is None else view.connections.hash
    return attempt_of(named) if is_of(wanted.digest, named) else 0


def _agreement(view: AgentView, config: RemoteConfig) -> Agreement:
    seen = view.effective
    return seen.agreement if seen is not None and seen.intended == config.digest else Agreement.UNKNOWN
