"""One agent over HTTP, closely: what it and this server say to each other, as it happens, and what is due.

A watch is a response of JSON lines. It ends when the one who watches goes, after the time that was asked for,
at the latest after an hour, and when the operator's token has ended. An empty line now and then shows that it
is alive.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from distribution.domain.scope import READ
from distribution.fleet import operators
from distribution.flows.explain import explanation
from distribution.flows.watch import Event
from distribution.transport.operators.access import Call, Door, one_of
from distribution.transport.operators.answers import answer
from distribution.transport.operators.bodies import agent_of, only, whole_number
from distribution.transport.operators.services import OperatorServices
from distribution.transport.operators.words import known_of, safe_words, watched_words
from keys.identity import AgentId
from storage.journal import JSON

WATCH_SECONDS: Final = 3600
"""How long one watch lasts at most."""

ALIVE_SECONDS: Final = 10.0
"""How often one that has nothing to show says so, and whether its operator may still watch is asked."""

LINES: Final = "application/x-ndjson"

_ONE = "/agents/{uid}"


def watching_routes(door: Door) -> list[Route]:
    """Return the routes of watching and explaining."""
    return [
        door.route("GET", _ONE + "/watch", one_of(READ), _watch, asks=True),
        door.route("GET", _ONE + "/explain", one_of(READ), _explain),
    ]


async def _explain(call: Call) -> Response:
    return answer(await call.run(_explained, call.services, agent_of(call.request)))


def _explained(services: OperatorServices, agent: AgentId) -> dict[str, JSON]:
    found = explanation(
        services.exchange,
        services.registry,
        services.admission,
        services.database,
        agent,
        now=services.clock(),
    )
    known = known_of(services, services.registry.find(agent))
    wants, why = (list[JSON](part) for part in (found.wants, found.why))
    holds: list[JSON] = [safe_words(one, known) for one in found.holds]
    told: dict[str, JSON] = {"uid": str(found.agent), "live": found.live.value}
    return {**told, "wants": wants, "holds": holds, "why": why}


async def _watch(call: Call) -> Response:
    agent = agent_of(call.request)
    only(call.request, "seconds")
    seconds = whole_number(call.request, "seconds", default=WATCH_SECONDS, highest=WATCH_SECONDS)
    live = call.services.registry.live(agent)
    call.services.watches.require_room()
    begin = _own(call, "watching", {"agent": str(agent), "live": live.value})
    lines = _lines(call, agent, begin, seconds)
    return StreamingResponse(lines, media_type=LINES, headers={"Cache-Control": "no-store"})


async def _lines(call: Call, agent: AgentId, begin: Event, seconds: int) -> AsyncIterator[bytes]:
    """Yield lines until the end; closed early when the one who watches goes."""
    loop, rang = asyncio.get_running_loop(), asyncio.Event()
    # Only here: what is never begun is never ended either.
    watch = call.services.watches.open(agent, lambda: _ring(loop, rang))
    end, asked = loop.time() + seconds, loop.time()
    try:
        yield _line(begin)
        while (left := end - loop.time()) > 0:
            try:
                await asyncio.wait_for(rang.wait(), min(left, ALIVE_SECONDS))
            except TimeoutError:
                yield b"\n"
            if loop.time() - asked >= ALIVE_SECONDS:
                asked = loop.time()
                if not await call.run(_may_still, call):
                    return
            rang.clear()
            said = watch.take()
            for event in await call.run(watched_words, call.services, agent, said) if said else ():
                dropped = event.get("dropped")
                yield _line(event if dropped is None else _own(call, "dropped", {"messages": dropped}))
    finally:
        call.services.watches.close(watch)


def _may_still(call: Call) -> bool:
    """Say whether the operator's token is still good."""
    with call.services.database.read() as connection:
        found = operators.find(connection, call.operator.name)
    same = found is not None and found.created_at == call.operator.created_at
    return found is not None and same and found.is_live(call.services.clock())


def _own(call: Call, direction: str, said: Event) -> Event:
    return {"at": f"{call.services.clock():%FT%TZ}", "transport": "", "direction": direction, "said": said}


def _line(event: Event) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def _ring(loop: asyncio.AbstractEventLoop, rang: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(rang.set)
    except RuntimeError:
        return  # the loop is closed, and nobody listens
