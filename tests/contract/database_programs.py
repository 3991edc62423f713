"""Processes that use a database: appenders that say what was committed, and programs that migrate at once.

They are forked from one process that has done the imports, so that a test can afford many of them.
"""

import itertools
import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier

from storage.database import Database, migrate
from storage.journal import Head, append

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


class Writers:
    """Processes that append to one journal at once. A `count` of 0 goes on until they are killed.

    They speak through one pipe, in messages short enough to be written whole, so that whoever listens does
    not wait for one of them while SQLite keeps letting another one go first.
    """

    def __init__(self, url: str, processes: int, count: int) -> None:
        self._acknowledged, sending = _CONTEXT.Pipe(duplex=False)
        self.processes: list[ForkServerProcess] = [
            _CONTEXT.Process(target=_write, args=(url, f"agent:{number}", count, sending))
            for number in range(processes)
        ]
        for process in self.processes:
            process.start()
        sending.close()

    def acknowledged(self) -> Iterator[Head]:
        """Yield what they committed, as they say so; ends when all of them have ended."""
        try:
            while True:
                yield from self._acknowledged.recv()
        except EOFError:
            self._acknowledged.close()
            for process in self.processes:
                process.join(timeout=20)

    def kill(self) -> None:
        """Send each of them SIGKILL."""
        for process in self.processes:
            process.kill()

    @property
    def exit_codes(self) -> list[int | None]:
        """How each of them ended."""
        return [process.exitcode for process in self.processes]


def _write(url: str, actor: str, count: int, acknowledge: "Connection[list[Head], None]") -> None:
    database = Database.open(url)
    for turn in itertools.islice(itertools.count(), count or None):
        # Every third transaction holds two entries.
        with database.write() as connection:
            made = [
                append(
                    connection,
                    kind="journal.checked",
                    actor=actor,
                    subject=f"turn:{turn}",
                    detail={"turn": turn},
                    at=datetime.now(UTC),
                )
                for _ in range(2 if turn % 3 == 0 else 1)
            ]
        acknowledge.send([Head(entry.number, entry.hash) for entry in made])
    database.close()


def migrate_together(url: str, programs: int) -> list[int | None]:
    """Have so many processes open and migrate one database at the same moment; return their exit codes."""
    barrier = _CONTEXT.Barrier(programs)
    processes = [_CONTEXT.Process(target=_migrate, args=(url, barrier)) for _ in range(programs)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    return [process.exitcode for process in processes]


def _migrate(url: str, barrier: Barrier) -> None:
    barrier.wait(timeout=30)
    database = Database.open(url)
    migrate(database)
    database.close()
