"""Three uvicorn servers and the periodic jobs in one event loop, started and stopped as one.

Rules:

1. Every port is bound before anything is served; a port that is taken, or that two listeners share, is named
   and nothing starts.
2. The first SIGTERM or SIGINT stops the server in order: agents' and downloads' listeners accept no more,
   answer what is under way and close their connections one after the other (`transport.drain`); the
   operators' listener goes last, so that an operator can see it.
3. A second signal ends the process at once, as a kill does: nothing that was acknowledged is in memory alone.
4. A job runs in a worker thread and never beside itself; its failure is logged and it is tried again.
"""

import asyncio
import contextlib
import ipaddress
import itertools
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

import uvicorn

from distribution.errors import SettingsError
from distribution.transport.arrivals import TICKET, Ticket
from distribution.transport.drain import Closing, drain, spread
from distribution.transport.gate import USUAL, Bounds, Gate
from distribution.transport.load import Load

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.02
_FAILURES_TOLD: Final = 60
"""A job that goes on failing is told of once in so many times."""

_CANCEL_SECONDS: Final = 1.0
"""How long a request that was given up may take to notice; a thread of it may wait for the database."""

_ENDS_SECONDS: Final = 5.0
"""How long the ends of connections that were cut may take, which come one after the other."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every `seconds`, first of all right after the start. `run` is synchronous."""

    name: str
    seconds: float
    run: Callable[[], None]


class Listener(uvicorn.Server):
    """One uvicorn server with a gate of ours; it leaves the process's signals alone."""

    def __init__(
        self,
        name: str,
        config: uvicorn.Config,
        *,
        bounds: Bounds = USUAL,
        load: Load | None = None,
        drain_seconds: float = 0.0,
        last: bool = False,
    ) -> None:
        """Make a listener.

        Args:
            name: for messages.
            config: uvicorn's.
            bounds: of its gate.
            load: is told when the listener stops; it turns newcomers away then.
            drain_seconds: over how long connections are closed, at most.
            last: whether it stops only when the others have.
        """
        super().__init__(config)
        self.name = name
        self.last = last
        self.gate: Gate | None = None
        self._bounds = bounds
        self._load = load
        self._drain_seconds = drain_seconds

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: one process has one place that handles signals, and it is `serve`."""
        yield

    @property
    def address(self) -> str:
        """Where it listens, for messages."""
        return f"{self.config.host}:{self.config.port}"

    def bind(self) -> socket.socket:
        """Bind the listener's address. Raises SettingsError naming the listener and the address."""
        host, port = self.config.host, self.config.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError as exc:
            bound.close()
            raise SettingsError(f"{self.name} listener cannot bind {self.address}: {exc.strerror}") from exc
        bound.set_inheritable(True)
        return bound

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the gate on the one socket of `bind`."""
        await self.lifespan.startup()
        if self.lifespan.should_exit or not sockets:
            raise SettingsError(f"{self.name} listener cannot start")
        self.servers = []  # what uvicorn would accept with
        gate = Gate(self.name, sockets[0], self.config.ssl, self._protocol, self._bounds)
        try:
            gate.open()
        except OSError as exc:  # another program was bound as well, and was faster
            sockets[0].close()
            raise SettingsError(
                f"{self.name} listener cannot listen at {self.address}: {exc.strerror}"
            ) from exc
        self.gate = gate
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, close all connections, finish what is under way; never longer than it may take."""
        del sockets  # the gate closes it
        if self.gate is not None:
            self.gate.close()
        connections = cast("set[Closing]", self.server_state.connections)
        seconds = spread(len(connections), self._drain_seconds)
        if self._load is not None:
            self._load.begin_end(seconds, seconds)
        if connections:
            logger.info(
                "connections are closed",
                extra={"listener": self.name, "connections": len(connections), "seconds": seconds},
            )
        await drain(connections, seconds, lambda: self.force_exit)
        await self._finish()
        await self.lifespan.shutdown()

    async def _finish(self) -> None:
        """Wait for connections and requests to end, and end those that take too long."""
        state, loop = self.server_state, asyncio.get_running_loop()
        until = loop.time() + (self.config.timeout_graceful_shutdown or 0)
        while (state.connections or state.tasks) and not self.force_exit and loop.time() < until:  # noqa: ASYNC110 - sets of uvicorn's, which tell nobody
            await asyncio.sleep(_TICK_SECONDS)
        if state.connections or state.tasks:
            logger.warning(
                "connections are cut: they took too long",
                extra={"listener": self.name, "connections": len(state.connections)},
            )
        for task in list(state.tasks):
            task.cancel()
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(list(state.tasks), timeout=_CANCEL_SECONDS)
        until = loop.time() + _ENDS_SECONDS
        while state.connections and loop.time() < until:  # noqa: ASYNC110 - as above
            await asyncio.sleep(_TICK_SECONDS)

    def _protocol(self, ticket: Ticket) -> asyncio.BaseProtocol:
        make = cast("Callable[..., asyncio.BaseProtocol]", self.config.http_protocol_class)
        return make(
            config=self.config,
            server_state=self.server_state,
            app_state={**self.lifespan.state, TICKET: ticket},
        )


async def _repeat(job: Job) -> None:
    failed = 0
    while True:
        try:
            await asyncio.to_thread(job.run)
        except Exception as exc:
            failed += 1
            if failed == 1:
                logger.exception("job failed; it will be tried again", extra={"job": job.name})
            elif failed % _FAILURES_TOLD == 0:
                told = {"job": job.name, "times": failed, "reason": str(exc)}
                logger.error("job goes on failing", extra=told)  # noqa: TRY400 - the first one was traced
        else:
            if failed:
                logger.info("job works again", extra={"job": job.name, "failed": failed})
            failed = 0
        await asyncio.sleep(job.seconds)


def _on_signal(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)  # the next one ends the process
    logger.info("server stops; a second signal ends it at once")
    stopping.set()


def _bound(listeners: Sequence[Listener]) -> list[socket.socket]:
    """Bind all or none. Raises SettingsError."""
    with contextlib.ExitStack() as undoing:
        sockets = [undoing.enter_context(listener.bind()) for listener in listeners]
        for (one, mine), (other, theirs) in itertools.combinations(zip(listeners, sockets, strict=True), 2):
            if _collide(mine.getsockname()[:2], theirs.getsockname()[:2]):
                raise SettingsError(
                    f"{one.name} listener at {one.address} and {other.name} listener at {other.address} "
                    "have the same port, each needs one of its own"
                )
        undoing.pop_all()
    return sockets


def _collide(mine: tuple[str, int], theirs: tuple[str, int]) -> bool:
    """Whether both cannot be listened at; bound they can be, with SO_REUSEADDR."""
    hosts = ipaddress.ip_address(mine[0]), ipaddress.ip_address(theirs[0])
    if mine[1] != theirs[1] or hosts[0].version != hosts[1].version:
        return False
    return hosts[0] == hosts[1] or any(host.is_unspecified for host in hosts)


async def serve(listeners: Sequence[Listener], jobs: Sequence[Job], tell: Callable[[str], None]) -> None:
    """Serve until a signal says stop.

    Args:
        listeners: all are bound before any is served.
        jobs: done again and again beside them, until the last of them has stopped.
        tell: called with "ready" once every listener accepts, and with "stopping" when a signal came.

    Raises:
        SettingsError: a port cannot be bound, or two listeners have the same one.
    """
    sockets = _bound(listeners)
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _on_signal, stopping)
    serving = {
        asyncio.create_task(listener.serve(sockets=[bound]), name=listener.name): listener
        for listener, bound in zip(listeners, sockets, strict=True)
    }
    repeating = [asyncio.create_task(_repeat(job), name=job.name) for job in jobs]
    signalled = asyncio.create_task(stopping.wait())
    try:
        while not all(listener.started for listener in listeners):
            if stopping.is_set() or any(task.done() for task in serving):
                break
            await asyncio.sleep(_TICK_SECONDS)
        else:
            tell("ready")
        await asyncio.wait([signalled, *serving], return_when=asyncio.FIRST_COMPLETED)
        tell("stopping")
        await _stop(serving)
    finally:
        signalled.cancel()
        for task in repeating:
            task.cancel()
        await asyncio.gather(*repeating, return_exceptions=True)


async def _stop(serving: dict[asyncio.Task[None], Listener]) -> None:
    """Stop the listeners, those that go last after the others. Raises what one of them ended with."""
    for last in (False, True):
        chosen = {task: listener for task, listener in serving.items() if listener.last is last}
        for listener in chosen.values():
            listener.should_exit = True
        await asyncio.gather(*chosen)
