"""The journal and the trust statement over HTTP: what happened, and what this server believes."""

import dataclasses

from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.scope import READ, SECURITY
from distribution.errors import InvalidError
from distribution.flows import audit
from distribution.transport.operators.access import Call, Door, anybody, one_of
from distribution.transport.operators.answers import answer, moment
from distribution.transport.operators.bodies import only, whole_number
from storage.journal import JSON, Entry

PAGE_MAX = 1000
_NUMBER_MAX = (1 << 53) - 1  # what every JSON reader keeps exact (RFC 8259 6)


def record_routes(door: Door) -> list[Route]:
    """Return the routes of the journal and of `trust`."""
    return [
        door.route("GET", "/trust", anybody, _trust),
        door.route("GET", "/journal", one_of(READ), _journal, asks=True),
        door.route("POST", "/journal/verify", one_of(SECURITY), _verify),
    ]


async def _trust(call: Call) -> Response:
    return answer(dataclasses.asdict(call.services.trust))


async def _journal(call: Call) -> Response:
    only(call.request, "after", "before", "limit")
    after = whole_number(call.request, "after", default=0, highest=_NUMBER_MAX)
    before = whole_number(call.request, "before", default=0, highest=_NUMBER_MAX)
    limit = whole_number(call.request, "limit", default=100, highest=PAGE_MAX, lowest=1)
    database, backward = call.services.database, "before" in call.request.query_params
    if backward and "after" in call.request.query_params:
        raise InvalidError(f"query has after {after} and before {before}, expected one of them")
    if backward:
        found = await call.run(audit.newest, database, before=before, limit=limit)
    else:
        found = await call.run(audit.page, database, after=after, limit=limit)
    more = len(found) == limit and not (backward and found[-1].number == 1)
    return answer({"entries": [_shown(entry) for entry in found], "next": found[-1].number if more else None})


async def _verify(call: Call) -> Response:
    services = call.services
    head = await call.run(
        audit.verify, services.database, services.store, actor=call.actor, now=services.clock()
    )
    return answer({"whole": True, "entries": head.number, "hash": head.hash})


def _shown(entry: Entry) -> dict[str, JSON]:
    return {
        "number": entry.number,
        "at": moment(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "subject": entry.subject,
        "detail": dict(entry.detail),
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }
