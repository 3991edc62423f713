"""An agent's words on errors, as the operators' API shows them: without what is known by now to be secret.

Errors quote configurations. What looks like a secret was taken out when they came (`domain.secrets.spoken`);
what operators declared, now or before, is taken out here, where it may have been declared since. Words were
cut when they came (`protocol.parts`), perhaps within a secret.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from distribution.domain.agent import AgentView, Health, PackagesReport
from distribution.domain.configuration import RemoteConfig
from distribution.domain.known_secrets import Known, words_without
from distribution.domain.secrets import REDACTED
from distribution.errors import DistributionError
from distribution.flows.watch import Event
from distribution.protocol.parts import TEXT_MAX_CHARS
from distribution.transport.operators.services import OperatorServices
from keys.identity import AgentId
from storage.journal import JSON

_WORDS: Final = frozenset({"error", "status", "reason", "text", "close"})
"""Under which words stand in what `flows.told` and `flows.watch` show."""


def shown_words(services: OperatorServices, view: AgentView) -> AgentView:
    """Return the view with its words made safe to show; work for a thread. Raises: as `Database.read`."""
    if not _says(view):
        return view
    return without_known(view, known_of(services, view))


def listed_words(services: OperatorServices, view: AgentView) -> AgentView:
    """Return the view as `shown_words` does, less the words that lists of agents do not show."""
    health = view.health
    if health is not None and health.components:
        health = replace(health, components={})
    return shown_words(services, replace(view, health=health, config=None, connections=None))


def watched_words(services: OperatorServices, agent: AgentId, events: Iterable[Event]) -> list[Event]:
    """Return what was said, safe to show; work for a thread. Raises: as `Database.read`."""
    registry = services.registry
    found = known_of(services, registry.find(agent) if registry.knows(agent) else AgentView(agent.uuid))
    return [{name: _event(name, said, found) for name, said in event.items()} for event in events]


def safe_words(words: str, found: Known) -> str:
    """Return words without `found`; what lost anything when it came may have been cut before."""
    return words_without(words, found, cut=len(words) >= TEXT_MAX_CHARS or REDACTED in words)


def known_of(services: OperatorServices, view: AgentView) -> Known:
    """Return what is to be hidden of one agent. Raises: as `Database.read`."""
    intended: RemoteConfig | None = None
    with suppress(DistributionError):  # what was declared before is known all the same
        intended = services.config_board.config_for(view)
    declared = services.config_board.declared
    if not services.config_board.was_given(view.uid):  # nearly all, and they are listed by the hundred
        return declared.known_of_all(intended)
    with services.database.read() as connection:
        return declared.known_of(connection, AgentId(view.uid), intended)


def without_known(view: AgentView, found: Known) -> AgentView:
    """Return the view without `found` in the agent's words."""
    config, connections = view.config, view.connections
    return replace(
        view,
        health=None if view.health is None else _health(view.health, found),
        packages=None if view.packages is None else _packages(view.packages, found),
        config=None if config is None else replace(config, error=safe_words(config.error, found)),
        connections=None
        if connections is None
        else replace(connections, error=safe_words(connections.error, found)),
    )


def _says(view: AgentView) -> bool:
    """Whether there are any words: most agents have none, and are listed by the thousand."""
    own = view.health is not None and (view.health.status or view.health.error or view.health.components)
    of_packages = view.packages is not None and (
        view.packages.error or any(one.error for one in view.packages.packages)
    )
    others = any(one is not None and one.error for one in (view.config, view.connections))
    return bool(own or of_packages or others)


def _health(health: Health, found: Known) -> Health:
    return replace(
        health,
        status=safe_words(health.status, found),
        error=safe_words(health.error, found),
        components={name: _health(part, found) for name, part in health.components.items()},
    )


def _packages(said: PackagesReport, found: Known) -> PackagesReport:
    packages = tuple(replace(one, error=safe_words(one.error, found)) for one in said.packages)
    return replace(said, packages=packages, error=safe_words(said.error, found))


def _event(name: str, said: JSON, found: Known) -> JSON:
    if isinstance(said, dict):
        return {key: _event(key, value, found) for key, value in said.items()}
    if isinstance(said, list):
        return [_event("", one, found) for one in said]
    return safe_words(said, found) if isinstance(said, str) and name in _WORDS else said
