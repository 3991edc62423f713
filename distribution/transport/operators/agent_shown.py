"""How the operators' API shows an agent: in short in lists, in full alone."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from distribution.domain.agent import AgentView, Capability, Health, PackageReport
from distribution.domain.liveness import Liveness
from distribution.transport.operators.answers import moment
from keys.admission import Admitted
from keys.certificate import Serial
from storage.journal import JSON

TURNS_SHOWN: Final = 3
"""How often of late an agent's connections displaced one another, before that is a problem of the agent."""


def with_barred(view: AgentView, entries: Iterable[Admitted], now: datetime) -> AgentView:
    """Return the view with the problem that nothing lets the agent in at `now` (aware UTC), if nothing does.

    `entries` are what it holds. Of one behind a gateway it is the gateway that has to be let in.
    """
    if any(now < one.not_after for one in entries):
        return view
    return _with(view, "nothing lets it in: what ended says `agents explain`")


def with_turns(view: AgentView, turns: int) -> AgentView:
    """Return the view with the problem that two connections by one credential take turns, if they do."""
    if turns < TURNS_SHOWN:
        return view
    said = (
        f"two connections by one credential take turns ({turns} times in the last hour): is it on two hosts?"
    )
    return _with(view, said)


def in_short(view: AgentView, live: Liveness, serials: Iterable[Serial]) -> dict[str, JSON]:
    """Return what lists show. `serials` are those that admit the agent now: the current, and a next one."""
    description, health, packages = view.description, view.health, view.packages
    return {
        "uid": str(view.uid),
        "labels": dict(view.labels),
        "platform": view.platform,
        "identifying": {} if description is None else dict(description.identifying),
        "attributes": {} if description is None else dict(description.attributes),
        "connected": view.connected,
        "live": live.value,
        "last_seen": moment(view.last_seen),
        "health": None if health is None else _own_health(health),
        "packages": [] if packages is None else [_package(report) for report in packages.packages],
        "packages_error": "" if packages is None else packages.error,
        "problem": view.problem,
        "serials": [str(serial) for serial in serials],
    }


def in_full(view: AgentView, live: Liveness, serials: Iterable[Serial]) -> dict[str, JSON]:
    """Return all that is known of one agent, the health of its parts included."""
    config, effective, connections = view.config, view.effective, view.connections
    return {
        **in_short(view, live, serials),
        "health": None if view.health is None else _health(view.health),
        "capabilities": [str(each.name).lower() for each in Capability if each and each in view.capabilities],
        "config": None
        if config is None
        else {"state": config.state.value, "hash": config.hash.hex(), "error": config.error},
        "effective": None
        if effective is None
        else {"agreement": effective.agreement.value, "why": effective.why, "digest": effective.digest.hex()},
        "connections": None
        if connections is None
        else {"state": connections.state.value, "hash": connections.hash.hex(), "error": connections.error},
        "components": None if view.components is None else view.components.hash.hex(),
        "custom_capabilities": sorted(view.custom_capabilities),
    }


def _with(view: AgentView, problem: str) -> AgentView:
    return replace(view, problem=f"{view.problem}; {problem}" if view.problem else problem)


def _own_health(health: Health) -> dict[str, JSON]:
    return {"healthy": health.healthy, "status": health.status, "error": health.error}


def _health(health: Health) -> dict[str, JSON]:
    """Return a part's health and that of its parts; its depth was cut when it was read."""
    parts: dict[str, JSON] = {name: _health(part) for name, part in health.components.items()}
    return {**_own_health(health), "components": parts} if parts else _own_health(health)


def _package(report: PackageReport) -> dict[str, JSON]:
    return {
        "name": report.name,
        "state": report.state.value,
        "version": report.version,
        "offered_version": report.offered_version,
        "error": report.error,
    }
