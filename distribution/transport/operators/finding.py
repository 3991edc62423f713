"""Which agents a request asks for: the query's words into a filter, and every word that is none refused.

label=site=north        it carries this label; several: all of them
attribute=os.type=linux it says this of itself; several: all of them
platform=linux-amd64    it runs there
live=stale              connected, stale or gone; several: one of them
health=unhealthy        healthy, unhealthy or unknown; several: one of them
packages=failed         failed, busy or settled; several: one of them
after=1200&limit=100    which page, and its size
"""

from collections.abc import Iterable
from enum import Enum
from typing import TypeVar

from starlette.requests import Request

from distribution.domain.liveness import Delivery, Liveness, Wellbeing
from distribution.errors import InvalidError
from distribution.fleet.search import Filter
from distribution.transport.operators.bodies import pairs, whole_number

PAGE = 100
PAGE_MAX = 1000
_NUMBER_MAX = (1 << 53) - 1
_FILTER = ("label", "attribute", "platform", "live", "health", "packages")
_PAGE = ("after", "limit")

_E = TypeVar("_E", bound=Enum)


def filter_of(request: Request, also: Iterable[str] = ()) -> Filter:
    """Read the filter. Raises InvalidError, naming what is wrong; `also` are other words of this query."""
    known = (*_FILTER, *also)
    for name in request.query_params:
        if name not in known:
            raise InvalidError(f"query parameter {name[:40]!r} is unknown, expected {', '.join(known)}")
    platforms = request.query_params.getlist("platform")
    if len(platforms) > 1 or "" in platforms:
        raise InvalidError(f"query parameter platform {platforms[-1][:80]!r} is given twice or empty")
    return Filter(
        pairs(request, "label"),
        pairs(request, "attribute"),
        platforms[0] if platforms else None,
        _states(request, "live", Liveness),
        _states(request, "health", Wellbeing),
        _states(request, "packages", Delivery),
    )


def page_of(request: Request) -> tuple[Filter, int, int]:
    """Read the filter, where the page begins, and its size. Raises InvalidError."""
    found = filter_of(request, _PAGE)
    after = whole_number(request, "after", default=0, highest=_NUMBER_MAX)
    limit = whole_number(request, "limit", default=PAGE, highest=PAGE_MAX, lowest=1)
    return found, after, limit


def _states(request: Request, name: str, kind: type[_E]) -> frozenset[_E]:
    try:
        return frozenset(kind(text) for text in request.query_params.getlist(name))
    except ValueError as exc:
        given = request.query_params.getlist(name)
        wrong = next(text for text in given if text not in {each.value for each in kind})
        known = ", ".join(each.value for each in kind)
        raise InvalidError(f"query parameter {name} {wrong[:40]!r} is not one of {known}") from exc
