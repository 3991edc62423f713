"""Three uvicorn servers and the periodic jobs in one event loop, started and stopped as one.

Rules:

1. Every port is bound before anything is served; a port that is taken is named and nothing starts.
2. SIGTERM and SIGINT stop all listeners; a second one does not wait for open exchanges.
3. A job runs in a worker thread and never beside itself; its failure is logged and it is tried again.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import uvicorn

from distribution.errors import SettingsError

logger = logging.getLogger(__name__)

_BACKLOG = 2048
_STARTED_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every `seconds`, first of all right after the start. `run` is synchronous."""

    name: str
    seconds: float
    run: Callable[[], None]


class Listener(uvicorn.Server):
    """One uvicorn server that leaves the process's signals alone."""

    def __init__(self, name: str, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.name = name

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: one process has one place that handles signals, and it is `serve`."""
        yield

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
            raise SettingsError(f"{self.name} listener cannot bind {host}:{port}: {exc.strerror}") from exc
        bound.set_inheritable(True)
        return bound


async def _repeat(job: Job) -> None:
    while True:
        try:
            await asyncio.to_thread(job.run)
        except Exception:
            logger.exception("job failed; it will be tried again", extra={"job": job.name})
        await asyncio.sleep(job.seconds)


def _on_signal(listeners: Sequence[Listener]) -> None:
    again = all(listener.should_exit for listener in listeners)
    for listener in listeners:
        listener.should_exit = True
        listener.force_exit = again


async def serve(listeners: Sequence[Listener], jobs: Sequence[Job], ready: Callable[[], None]) -> None:
    """Serve until a signal says stop; `ready` is called once every listener accepts.

    Raises:
        SettingsError: a port cannot be bound.
    """
    sockets = [listener.bind() for listener in listeners]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, listeners)
    serving = [
        asyncio.create_task(listener.serve(sockets=[bound]), name=listener.name)
        for listener, bound in zip(listeners, sockets, strict=True)
    ]
    repeating = [asyncio.create_task(_repeat(job), name=job.name) for job in jobs]
    try:
        while not all(listener.started for listener in listeners):
            if any(task.done() for task in serving):
                break
            await asyncio.sleep(_STARTED_POLL_SECONDS)
        else:
            ready()
        await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
        for listener in listeners:
            listener.should_exit = True
        await asyncio.gather(*serving)
    finally:
        for task in repeating:
            task.cancel()
        await asyncio.gather(*repeating, return_exceptions=True)
