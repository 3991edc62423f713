"""The story of a question: what does the server want of this agent, what does it hold, and what is due next?

The reasons are those of the very decision that makes offers (`protocol.explain`), on the agent's live session
where it has one. Nothing is decided or written here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from distribution.domain.agent import AgentView, Plan
from distribution.domain.liveness import Liveness, wellbeing
from distribution.fleet.registry import Registry
from distribution.flows.barred import what_ended
from distribution.flows.exchange import Exchange
from distribution.protocol.explain import explain
from distribution.protocol.stances import is_mute
from keys import ledger
from keys.admission import Admission, Admitted
from keys.certificate import BearerId, Passage
from keys.identity import AgentId
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Explanation:
    """Sentences for operators."""

    agent: AgentId
    live: Liveness
    wants: tuple[str, ...]
    """What the server wants of it."""
    holds: tuple[str, ...]
    """What it says that it has and is."""
    why: tuple[str, ...]
    """Why the next offer of each kind is made, or is not."""


def explanation(
    exchange: Exchange,
    registry: Registry,
    admission: Admission,
    database: Database,
    agent: AgentId,
    *,
    now: datetime,
) -> Explanation:
    """Explain one agent; of one that nothing lets in, why. Raises UnknownError; as `Database.read`."""
    view, live = registry.find(agent), registry.live(agent)
    session, plan = exchange.standing_of(view)
    entries = admission.entries_of(agent)
    barred = () if view.connected else tuple(_barred(admission, database, agent, entries, now))
    seen = _seen(database, agent, view, live)
    holds = (seen, *_holds(view), *(_credential(one, now) for one in entries))
    return Explanation(agent, live, tuple(_wants(plan)), holds, (*barred, *explain(session, plan, now)))


def _barred(
    admission: Admission, database: Database, agent: AgentId, entries: Sequence[Admitted], now: datetime
) -> Iterator[str]:
    """Say why an agent that is away cannot come in, if it cannot, and what an operator can do."""
    presented = _to_present(admission, entries)
    if any(now < one.not_after for one in presented):
        return
    if presented:
        ended, who = " and ".join(_credential(one, now) for one in presented), presented[0].agent
        yield f"nothing lets it in: {ended}; {_another(presented[0], who)}"
        return
    speaker = admission.speaker_for(agent)
    through = "" if speaker is None else f"of gateway {speaker}, which speaks for it: "
    yield f"nothing lets it in: {through}{what_ended(database, speaker or agent)}"


def _another(ended: Admitted, who: AgentId) -> str:
    """Say how an agent whose credential's time is over gets another one."""
    if isinstance(ended.credential, BearerId):
        return f"`agents token create {who}` makes another"
    return f"`agents certify` signs another request of it, `agents reset {who}` lets it enroll anew"


def _to_present(admission: Admission, entries: Sequence[Admitted]) -> Sequence[Admitted]:
    """Return what has to be good for the agent: its own, or of one behind a gateway, the gateway's."""
    behind = next((one.credential for one in entries if isinstance(one.credential, Passage)), None)
    return entries if behind is None else admission.entries_of(behind.gateway)


def _credential(admitted: Admitted, now: datetime) -> str:
    credential = admitted.credential
    if isinstance(credential, Passage):
        return f"no credential of its own: gateway {credential.gateway} speaks for it"
    kind = "bearer token" if isinstance(credential, BearerId) else f"{admitted.slot.value} certificate"
    said = "good until" if now < admitted.not_after else "which ended at"
    return f"{kind} {credential}, {said} {admitted.not_after:%FT%TZ}"


def _wants(plan: Plan) -> list[str]:
    offered = () if plan.offer is None else plan.offer.packages
    found = [f"package {each.name} {each.version} ({each.artifact.path})" for each in offered]
    if plan.config is not None:
        found.append(f"configuration {plan.config.origin}: {', '.join(map(repr, plan.config.objects))}")
    if plan.connections is not None:
        found.append(f"connection settings {plan.connections.origin}")
    if plan.restart is not None:
        found.append("a restart")
    return found or ["nothing"]


def _seen(database: Database, agent: AgentId, view: AgentView, live: Liveness) -> str:
    """Say when it was heard; of one that never was, since when it is waited for."""
    if view.last_seen is not None:
        return f"{live.value}, last heard at {view.last_seen:%FT%TZ}"
    with database.read() as connection:
        stands = ledger.enrollment_of(connection, agent)
    if stands is None:
        return "never heard"
    return f"never heard: it is {stands.standing.value} since {stands.standing_since:%FT%TZ}"


def _holds(view: AgentView) -> list[str]:
    found = [f"health: {wellbeing(view).value}"]
    for package in () if view.packages is None else view.packages.packages:
        error = f": {package.error}" if package.error else ""
        found.append(f"package {package.name} {package.version or '-'}, {package.state.value}{error}")
    if view.config is not None:
        error = f": {view.config.error}" if view.config.error else ""
        found.append(f"configuration {view.config.state.value}{error}")
    if view.effective is not None:
        why = f": {view.effective.why}" if view.effective.why else ""
        found.append(f"effective configuration {view.effective.agreement.value}{why}")
    if view.connections is not None:
        error = f": {view.connections.error}" if view.connections.error else ""
        state = "offered, and it does not report what became of them"
        state = state if is_mute(view) else view.connections.state.value
        found.append(f"connection settings {state}{error}")
    return found
