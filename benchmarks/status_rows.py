"""Status written down: rows a second of one flush for many agents, against a row a transaction.

`python -m benchmarks.status_rows [FOLDER]` prints both engines; `compared(engine)` is one row of the table.

Both sides write the same columns (health, connected, last seen) of the same agents to the same table, through
the same driver, and both wait for the disk. Theirs is the driver alone: one prepared statement and a commit a
row. Ours is all that the server does: the registry's change, the text of the columns, the transaction, and
the index by which agents are found. Rounds are interleaved.
"""

import asyncio
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import uvloop
from sqlalchemy import Connection, make_url

from benchmarks.engines import ENGINES, an_engine
from benchmarks.fleet_queries import NOW, known_agents, labels_of
from distribution.compose import pauses
from distribution.domain.agent import AgentView, Health
from distribution.fleet.registry import Registry
from storage.database import Database

AGENTS = 10_000
ALONE = 300
"""Rows of a round that are written one by one: a slow disk takes its time for each."""

ROUNDS = 5
TICK_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Compared:
    """Rows a second of every round: many agents in one flush, and a row a transaction."""

    engine: str
    together: tuple[float, ...]
    alone: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times more rows a second one flush writes; of the median rounds."""
        return statistics.median(self.together) / statistics.median(self.alone)

    @property
    def line(self) -> str:
        """The result for people."""
        ratios = [ours / theirs for ours, theirs in zip(self.together, self.alone, strict=True)]
        return (
            f"{self.engine:<12}{statistics.median(self.together):>10,.0f} rows/s together, "
            f"{statistics.median(self.alone):>7,.0f} alone: "
            f"{self.ratio:.0f} x (rounds {min(ratios):.0f} to {max(ratios):.0f})"
        )


class _Durable(Database):
    """A database whose status rows wait for the disk too, as the other side's do."""

    @contextmanager
    def write_relaxed(self) -> Iterator[Connection]:
        with self.write() as connection:
            yield connection


def compared(engine: str, disk: str | None = None) -> Compared:
    """Measure one engine, "sqlite" or "postgresql"."""
    with an_engine(engine, disk, _Durable) as database:
        registry, views = settled(database)
        together, alone = [], []
        with closing(_driver(database)) as driver:
            numbers = _numbers(driver)
            for number in range(1, ROUNDS + 1):
                news = [_news(view, number) for view in views]
                pauses.settle()  # as the server does when it has read its agents
                together.append(_rate(AGENTS, partial(_flushed, registry, news)))
                alone.append(_rate(ALONE, partial(_one_by_one, driver, numbers, news[:ALONE])))
    return Compared(engine, tuple(together), tuple(alone))


def settled(database: Database) -> tuple[Registry, list[AgentView]]:
    """Return a registry that knows so many agents, all written down, and what they said."""
    views = list(known_agents(AGENTS))
    registry = Registry(database, labels_of)
    _flushed(registry, views)
    return registry, views


def _news(view: AgentView, number: int) -> AgentView:
    health = Health(healthy=number % 2 == 0, status=f"in round {number}")
    return replace(view, health=health, last_seen=NOW + timedelta(seconds=number))


def _flushed(registry: Registry, views: list[AgentView]) -> None:
    for view in views:
        registry.keep(view)
    registry.flush()


def _driver(database: Database) -> Any:
    """Return a bare connection of the same driver, as durable as ours: each statement is a transaction."""
    url = make_url(database.name)
    if url.get_backend_name() == "sqlite":
        import sqlite3  # noqa: PLC0415 - the driver alone

        driver = sqlite3.connect(str(url.database), isolation_level=None)
        driver.execute("PRAGMA synchronous=FULL")
        return driver
    driver_pg = psycopg.connect(host=str(url.query["host"]), user=url.username, dbname=url.database)
    driver_pg.autocommit = True
    driver_pg.execute("SET synchronous_commit = on")
    return driver_pg


def _numbers(driver: Any) -> dict[str, int]:
    return dict(driver.execute("SELECT uid, number FROM agent_numbers").fetchall())


def _one_by_one(driver: Any, numbers: dict[str, int], views: list[AgentView]) -> None:
    mark = "%s" if isinstance(driver, psycopg.Connection) else "?"
    columns = f"health = {mark}, connected = {mark}, last_seen = {mark}"
    statement = f"UPDATE agent_status SET {columns} WHERE number = {mark}"  # noqa: S608
    for view in views:
        health, seen = view.health, view.last_seen
        told = None if health is None else json.dumps([health.healthy, health.status, health.error])
        since = None if seen is None else int(seen.timestamp())
        driver.execute(statement, (told, view.connected, since, numbers[str(view.uid)]))


def _rate(count: int, work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def worst_stall(engine: str, disk: str | None = None) -> tuple[float, float]:
    """Return the longest an event loop had to wait, in milliseconds: without a flush, and during flushes.

    A flush of 10,000 agents whose every word changed runs in a thread of the loop's process, again and again.
    """
    with an_engine(engine, disk) as database:
        registry, views = settled(database)
        pauses.settle()  # as the server does
        quiet = uvloop.run(_ticking(lambda: time.sleep(1.0)))

        def flushing() -> None:
            for number in range(1, ROUNDS + 1):
                for view in views:
                    registry.keep(_news(view, number))
                    if view.uid.int % 64 == 0:
                        time.sleep(0)  # these come one by one, as messages do
                registry.flush()

        return quiet, uvloop.run(_ticking(flushing))


async def _ticking(work: Callable[[], None]) -> float:
    """Let `work` run in a thread; return the longest time that the loop was late by, in milliseconds."""
    thread = threading.Thread(target=work)
    thread.start()
    worst, before = 0.0, time.perf_counter()
    while thread.is_alive():
        await asyncio.sleep(TICK_SECONDS)
        now = time.perf_counter()
        worst, before = max(worst, now - before - TICK_SECONDS), now
    thread.join()
    return worst * 1e3


def main(arguments: list[str]) -> int:
    """Measure both engines."""
    disk = arguments[0] if arguments else None
    for engine in ENGINES:
        sys.stdout.write(compared(engine, disk).line + "\n")
        quiet, busy = worst_stall(engine, disk)
        sys.stdout.write(
            f"{engine:<12}worst loop stall {busy:.1f} ms while flushing, {quiet:.1f} ms without\n"
        )
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
