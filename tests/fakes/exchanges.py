"""An exchange over an authority at work, as the tests of conversations want it."""

from typing import Any

from distribution.fleet.registry import Registry
from distribution.flows.decided import PlanFor
from distribution.flows.exchange import Exchange
from tests.fakes.authority import AtWork
from tests.fakes.live_connections import LiveConnections


def exchange_at(work: AtWork, registry: Registry, plan_for: PlanFor, **more: Any) -> Exchange:
    """Return an exchange whose plans are `plan_for`'s; `more` are other parts of it, by name."""
    return Exchange(
        database=work.database,
        registry=registry,
        admission=work.admission,
        authority=work.authority,
        connections=LiveConnections(),
        plan_for=plan_for,
        heartbeat_seconds=30,
        clock=work.clock,
        **more,
    )
