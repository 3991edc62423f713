"""How connections are closed when the server stops: spread over time, so that they do not come back together.

Few connections need no spreading: at least `PER_SECOND` are closed each second. While they wait for their
turn they are served as ever, and an HTTP answer says that it is the last one on its connection.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

PER_SECOND: Final = 100
"""Connections that are closed in a second, at least."""

_TICK_SECONDS: Final = 0.05

logger = logging.getLogger(__name__)


class Closing(Protocol):
    """A connection, as uvicorn keeps it."""

    def begin_end(self) -> None:
        """The server stops, and this connection's turn will come."""
        ...

    def shutdown(self) -> None:
        """Close, after what is being answered."""
        ...


def spread(count: int, most: float) -> float:
    """Return over how many seconds `count` connections are closed, at most `most`."""
    return min(most, count / PER_SECOND)


async def drain(connections: Iterable[Closing], seconds: float, hurry: Callable[[], bool]) -> None:
    """Close these connections, evenly spread over `seconds`; all at once as soon as `hurry` says so."""
    waiting = list(connections)
    for connection in waiting:
        connection.begin_end()
    loop = asyncio.get_running_loop()
    began, total, closed = loop.time(), len(waiting), 0
    while closed < total:
        passed = loop.time() - began
        due = total if hurry() or passed >= seconds else 1 + int(total * passed / seconds)
        for connection in waiting[closed:due]:
            try:
                connection.shutdown()
            except Exception:
                logger.exception("connection could not be closed cleanly")
        closed = max(closed, due)
        if closed < total:
            await asyncio.sleep(_TICK_SECONDS)
