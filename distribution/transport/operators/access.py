"""Who may call what: every route of the API names the scopes that suffice, and takes a bearer token.

The token is judged in a worker thread, which journals it if it is refused. A request without a good token
learns nothing but that; one without the scope learns which it would need.
"""

import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from distribution.domain.scope import Scope
from distribution.errors import CallerError, UnauthenticatedError
from distribution.fleet.operators import Operator
from distribution.flows.entry import Entry
from distribution.transport.operators.answers import refusal
from distribution.transport.operators.bodies import only
from distribution.transport.operators.metrics import Requests
from distribution.transport.operators.services import OperatorServices

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

_READING = frozenset({"GET", "HEAD"})

Sufficient = Callable[[Request], frozenset[Scope]]
"""The scopes of which one is needed for a request."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a known operator."""

    request: Request
    services: OperatorServices
    operator: Operator
    commits: anyio.CapacityLimiter
    """Commits are one at a time anyway; who waits for his turn waits here, not in a thread."""

    @property
    def actor(self) -> str:
        """How the journal calls who did it."""
        return f"operator:{self.operator.name}"

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run blocking work in a thread. Raises what it raises."""
        return await anyio.to_thread.run_sync(functools.partial(work, *args, **kwargs))

    async def run_in_turn(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run work that commits to the repository; however many wait, a revocation finds a thread."""
        return await anyio.to_thread.run_sync(functools.partial(work, *args, **kwargs), limiter=self.commits)


Handler = Callable[[Call], Awaitable[Response]]


def one_of(scopes: frozenset[Scope]) -> Sufficient:
    """Return the rule that any of these scopes suffices."""
    return lambda _request: scopes


def anybody(_request: Request) -> frozenset[Scope]:
    """Return the rule that any live token suffices: no particular scope."""
    return frozenset()


class Door:
    """Makes routes that only operators with the right scope pass."""

    def __init__(self, services: OperatorServices, requests: Requests) -> None:
        self._services = services
        self._requests = requests
        self._commits = anyio.CapacityLimiter(1)
        self._entry = Entry(services.database, services.clock)

    def route(
        self, method: str, path: str, sufficient: Sufficient, handler: Handler, *, asks: bool = False
    ) -> Route:
        """Return the route of one method and path; where it `asks`, its handler judges the query's words.

        No other takes any: a word that is not known may be one by which its sender meant something.
        """

        async def endpoint(request: Request) -> Response:
            try:
                # At once, and not in a thread that waits: there are few, and a probe may need one.
                self._require_database(method)
                call = await self._enter(request, f"{method} {path}", sufficient)
                if not asks:
                    only(request)
                response = await handler(call)
            except Exception as exc:  # noqa: BLE001 - the outermost place of an exchange; answered and logged
                response = refusal(exc)
            self._requests.count(method, path, response.status_code)
            return response

        return Route(f"/api/v1{path}", endpoint, methods=[method])

    def _require_database(self, method: str) -> None:
        pulse = self._services.pulse
        (pulse.require_reads if method in _READING else pulse.require_writes)()

    async def _enter(self, request: Request, place: str, sufficient: Sufficient) -> Call:
        remote = "an unknown address" if request.client is None else request.client.host
        admit = functools.partial(self._entry.admit, where=f"{place} from {remote}")
        try:
            operator = await anyio.to_thread.run_sync(
                admit, _bearer(request), functools.partial(sufficient, request)
            )
        except CallerError as exc:
            logger.warning("operator refused", extra={"path": request.url.path, "reason": str(exc)})
            raise
        return Call(request, self._services, operator, self._commits)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():  # RFC 6750 2.1
        raise UnauthenticatedError("request has no bearer token")
    return token.strip()
