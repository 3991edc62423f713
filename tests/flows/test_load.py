"""A crowd of agents at one listener: all answered, each offer once, a revoked one cut, nothing left behind.

40 agents in `make test`, 100 in `.ci/run`, 1000 in `make soak`; half of them over WebSocket, half over HTTP.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from distribution.domain.agent import Plan
from distribution.domain.attempts import numbered
from distribution.domain.offer import Offer
from distribution.flows.talk import Talk
from distribution.protocol.session import Session
from distribution.transport.peer import PeerHttpProtocol
from distribution.transport.poller import Poller
from distribution.transport.websocket import AgentSocket
from keys.certificate import Reason
from storage import journal
from storage.journal import Entry
from tests.fakes.besieged_agent import wait_until
from tests.fakes.crowd import Simulated, crowd
from tests.fakes.listening import Listening, listening
from tests.fakes.offers import an_offer
from tests.fakes.wire_client import description

HEARTBEATS = 3
AT_ONCE = 50
"""Handshakes at the same time, and no more: a fleet comes spread."""

OFFER = an_offer()
KINDS = (AgentSocket, PeerHttpProtocol, Poller, Talk, Session)
"""What the server holds for each connection or conversation."""


def seconds_for(count: int) -> float:
    """Return how long a crowd of this size may take, on a machine that is far too busy."""
    return 60.0 + count / 2


def held() -> Counter[str]:
    """Count what this process holds for connections."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in KINDS)


async def each(agents: Iterable[Simulated], act: Callable[[Simulated], Awaitable[object]]) -> None:
    """Have every agent do something, some at the same time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(agent: Simulated) -> None:
        async with room:
            await act(agent)

    await asyncio.gather(*(one(agent) for agent in agents))


async def arrive(agent: Simulated) -> None:
    """Connect, say everything, and then that there is nothing new."""
    await agent.connect()
    assert (await agent.ask(agent_description=description())).capabilities
    await beat(agent)


async def beat(agent: Simulated) -> None:
    """Send some heartbeats and get their answers."""
    for _ in range(HEARTBEATS):
        await agent.ask()


async def install(agent: Simulated) -> None:
    """Get the offer, report it as installed, and go on."""
    await agent.take_offer()
    await agent.report_installed()
    await beat(agent)


def wake(at: Listening, offer: Offer) -> None:
    """Let every agent have this set; one wake-up."""
    at.plans.plan = Plan(offer, 30)
    at.hub.wake()


def revoke(at: Listening, agents: Iterable[Simulated]) -> int:
    """Revoke as an operator does; return how many connections were cut."""
    cut = 0
    for agent in agents:
        who, now = agent.identity.agent, at.work.clock()
        revoked = at.work.authority.revoke(who, Reason.KEY_COMPROMISE, "operator:ann", now)
        cut += at.hub.cut(revoked.serials, f"agent {who} was revoked")
    return cut


def require_offered_once(agents: Iterable[Simulated]) -> None:
    """Each message was answered once, and the one offer came once: pushed, or within an answer."""
    for agent in agents:
        assert [offer.all_packages_hash for offer in agent.offers] == [numbered(OFFER.hash, 1)]
        assert agent.got == agent.sent + (0 if agent.polls else 1)


def require_known(at: Listening, agents: list[Simulated]) -> None:
    """The server knows of each installation, and journals each once."""
    for agent in agents:
        view = at.registry.view(agent.identity.agent)
        assert view.connected
        assert view.packages is not None
        assert view.packages.holds(OFFER)

    wait_until(lambda: len(installers(at)) >= len(agents))
    assert sorted(installers(at)) == sorted(f"agent:{agent.identity.agent}" for agent in agents)


def installers(at: Listening) -> list[str]:
    """Return who is journalled as having installed something, once for each time."""
    found: list[Entry] = []
    with at.work.database.read() as connection:
        while page := journal.entries(connection, after=found[-1].number if found else 0):
            found += page
    return [entry.actor for entry in found if entry.kind == "package.installed"]


def require_held(before: Counter[str], agents: list[Simulated]) -> None:
    """While they are connected each agent has its objects: what must be gone later is counted now."""
    now, polling = held() - before, sum(agent.polls for agent in agents)
    kinds = [now[kind.__name__] for kind in (AgentSocket, Poller, Talk, Session)]
    assert kinds == [len(agents) - polling, polling, len(agents), len(agents)]


async def live(at: Listening, agents: list[Simulated], before: Counter[str]) -> None:
    """Let the crowd come, install, lose two of its number, and leave."""
    await each(agents, arrive)
    assert all(at.hub.is_connected(agent.identity.agent) for agent in agents)
    await asyncio.to_thread(wake, at, OFFER)
    await each(agents, install)
    require_offered_once(agents)
    require_held(before, agents)
    await asyncio.to_thread(require_known, at, agents)
    revoked, others = agents[:2], agents[2:]
    assert await asyncio.to_thread(revoke, at, revoked) == len(revoked)
    await each(revoked, Simulated.until_closed)
    assert not any(at.hub.is_connected(agent.identity.agent) for agent in revoked)
    await each(others, beat)
    require_offered_once(others)
    await each(others, Simulated.leave)


async def bounded(at: Listening, agents: list[Simulated], before: Counter[str]) -> None:
    """Give the crowd so much time and no more; whatever happens, it is gone afterwards."""
    try:
        await asyncio.wait_for(live(at, agents, before), seconds_for(len(agents)))
    finally:
        for agent in agents:
            agent.abandon()


@pytest.mark.rounds(40, 100, 1000)
def test_a_crowd_of_agents(tmp_path: Path, rounds: int) -> None:
    """Every agent is answered, gets its offer once and leaves nothing behind; the revoked are cut alone."""
    before = held()
    with listening(tmp_path) as at:
        agents = crowd(at, rounds)
        asyncio.run(bounded(at, agents, before))
        wait_until(lambda: (len(at.hub), at.hub.strangers) == (0, 0))
        assert not any(at.registry.view(agent.identity.agent).connected for agent in agents)
        wait_until(lambda: not held() - before)
