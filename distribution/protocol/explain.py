"""Why an agent's next offer is or is not made, in plain words, from the very values that decide it."""

from datetime import datetime
from typing import Final

from distribution.domain.agent import Capability, Plan
from distribution.protocol.pacing import Offered, Stance, due
from distribution.protocol.session import Session, Standing
from distribution.protocol.stances import of_config, of_connections, of_packages

_SAID: Final = {
    Stance.OPEN: "it did not say that it took it up",
    Stance.APPLYING: "it says that it is applying it",
    Stance.FAILED: "it tried and could not, or it is not so",
}


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
    lead = () if view.connected else ("it is not connected: whatever is due waits until it is heard again",)
    orders = () if plan.restart is None else ("restart: ordered, and told with the next message",)
    packages = _packages(session, plan, now)
    return (*lead, packages, _config(session, plan, now), _connections(session, plan, now), *orders)


def _packages(session: Session, plan: Plan, now: datetime) -> str:
    if plan.offer is None:
        return f"packages: nothing is offered, because {plan.problem or 'there is nothing to offer'}"
    stance = of_packages(session.view, plan)
    return f"packages: {_due(stance, _made(session.offered, plan.offer.hash), plan, now)}"


def _config(session: Session, plan: Plan, now: datetime) -> str:
    if plan.config is None:
        return f"configuration: nothing is offered, because {plan.config_problem or 'none is assigned'}"
    if Capability.ACCEPTS_REMOTE_CONFIG not in session.view.capabilities:
        return "configuration: nothing is offered, because it does not accept remote configuration"
    stance = of_config(session.view, plan)
    said = _due(stance, _made(session.config, plan.config.digest), plan, now)
    return f"configuration {plan.config.origin or 'without a name'}: {said}"


def _connections(session: Session, plan: Plan, now: datetime) -> str:
    if plan.connections is None:
        return f"connection settings: nothing is offered, because {plan.connections_problem or 'none apply'}"
    stance = of_connections(session.view, plan, session.connections)
    made = _made(session.connections, plan.connections.digest)
    left_out = f"; {plan.connections.left_out}" if plan.connections.left_out else ""
    return f"connection settings: {_due(stance, made, plan, now)}{left_out}"


def _made(offered: Offered | None, digest: bytes) -> Offered | None:
    return offered if offered is not None and offered.hash == digest else None


def _due(stance: Stance, made: Offered | None, plan: Plan, now: datetime) -> str:
    if stance is Stance.HELD:
        return "nothing is due, because it has what it is to have"
    if stance is Stance.BUSY:
        return "nothing is offered while it works on packages"
    if made is None:
        if stance is Stance.FAILED:
            return f"it failed on an earlier connection and is offered again after {plan.retry_first}"
        return "offered with the next message"
    again = due(made, stance, plan.retry_first)
    when = f"at {again:%FT%TZ}" if again > now else "with the next message"
    times = "once" if made.times <= 1 else f"{made.times} times"
    return f"offered {times}, last at {made.at:%FT%TZ}; {_SAID[stance]}; offered again {when}"
