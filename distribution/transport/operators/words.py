"""An agent's words on errors, as the operators' API shows them: without what is known by now to be secret.

Errors quote configurations. What looks like a secret was taken out when they came (`domain.secrets.spoken`);
what operators declared, now or before, is taken out here, where it may have been declared since.
"""

from contextlib import suppress
from dataclasses import replace

from distribution.domain.agent import AgentView, Health, PackagesReport
from distribution.domain.configuration import RemoteConfig
from distribution.domain.secrets import Known, words_without
from distribution.errors import DistributionError
from distribution.flows.configuration.declared import all_known
from distribution.transport.operators.services import OperatorServices
from keys.identity import AgentId


def shown_words(services: OperatorServices, view: AgentView) -> AgentView:
    """Return the view with its words made safe to show; work for a thread. Raises: as `Database.read`."""
    if not _says(view):
        return view
    return without_known(view, known_of(services, view))


def known_of(services: OperatorServices, view: AgentView) -> Known:
    """Return what is to be hidden of one agent. Raises: as `Database.read`."""
    intended: RemoteConfig | None = None
    with suppress(DistributionError):  # what was declared before is known all the same
        intended = services.config_board.config_for(view)
    declared = services.config_board.declared
    if not services.config_board.was_given(view.uid):  # nearly all, and they are listed by the hundred
        return all_known(declared.former, (), intended)
    with services.database.read() as connection:
        return declared.known_of(connection, AgentId(view.uid), intended)


def without_known(view: AgentView, found: Known) -> AgentView:
    """Return the view without `found` in the agent's words."""
    config, connections = view.config, view.connections
    return replace(
        view,
        health=None if view.health is None else _health(view.health, found),
        packages=None if view.packages is None else _packages(view.packages, found),
        config=None if config is None else replace(config, error=words_without(config.error, found)),
        connections=None
        if connections is None
        else replace(connections, error=words_without(connections.error, found)),
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
        status=words_without(health.status, found),
        error=words_without(health.error, found),
        components={name: _health(part, found) for name, part in health.components.items()},
    )


def _packages(said: PackagesReport, found: Known) -> PackagesReport:
    packages = tuple(replace(one, error=words_without(one.error, found)) for one in said.packages)
    return replace(said, packages=packages, error=words_without(said.error, found))
