"""A fleet of 100,000: how fast a page of it is found and counted, what it weighs, how fast a server knows it.

`python -m benchmarks.fleet_queries [AGENTS]` prints the tables for SQLite and PostgreSQL; the rows of
the table are made of `asked_in_rounds`.

A query is all that the API does for `GET /api/v1/agents`: one transaction that finds and counts, and one page
of 100 agents as JSON. The kinds of queries are mixed and shuffled; half of the pages begin in the middle.
"""

import gc
import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID

from benchmarks.engines import ENGINES, an_engine
from benchmarks.peers import BenchmarkError
from distribution.compose import pauses
from distribution.domain.agent import (
    AgentView,
    Capability,
    Description,
    Health,
    PackageReport,
    PackagesReport,
    PackageState,
)
from distribution.domain.liveness import Liveness, Wellbeing
from distribution.fleet import search
from distribution.fleet.registry import Registry
from distribution.fleet.search import Filter
from distribution.transport.operators.agent_shown import in_short
from keys.identity import AgentId
from storage.database import Database

AGENTS = 100_000
ROUNDS = 40
PAGE = 100
KEPT_AT_ONCE = 10_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SITES = ("north", "south", "east", "west")
CAPABILITIES = Capability.REPORTS_STATUS | Capability.ACCEPTS_PACKAGES | Capability.REPORTS_HEALTH


@dataclass(frozen=True, slots=True)
class Timed:
    """One kind of query: how many agents it finds, and its times in milliseconds."""

    name: str
    total: int
    times: tuple[float, ...]

    @property
    def p50(self) -> float:
        """The median, in milliseconds."""
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        """What 95 of 100 stay below, in milliseconds."""
        return statistics.quantiles(self.times, n=20)[-1]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one round of queries took: all of them, and the kind whose p95 is worst."""

    together: Timed
    worst: Timed


def labels_of(agent: AgentId) -> dict[str, str]:
    """Return the labels that this agent's token gave it."""
    number = agent.uuid.int
    ring = "canary" if number % 100 == 0 else "early" if number % 10 == 0 else "broad"
    return {"site": SITES[number % 4], "ring": ring, "tenant": f"t{number % 211}"}


def an_agent(number: int, chance: random.Random) -> AgentView:
    """Return one agent as real ones describe themselves."""
    uid = UUID(int=chance.getrandbits(128))
    identifying = {
        "service.name": chance.choice(("otelcol-contrib", "edge", "gateway")),
        "service.version": f"0.{chance.randrange(140, 150)}.0",
        "service.instance.id": str(uid),
    }
    attributes = {
        "os.type": chance.choices(("linux", "windows", "darwin"), (80, 15, 5))[0],
        "host.arch": chance.choice(("amd64", "arm64")),
        "os.description": "Debian GNU/Linux 12 (bookworm)",
        "host.name": f"host-{number}.example.com",
        "host.id": f"{chance.getrandbits(128):032x}",
        "cloud.region": chance.choice(("eu-1", "eu-2", "us-1", "us-2", "ap-1")),
        "process.pid": str(chance.randrange(60_000)),
    }
    held = PackageReport("otelcol", PackageState.INSTALLED, "0.149.0", chance.randbytes(32))
    return AgentView(
        uid,
        description=Description(identifying, attributes),
        capabilities=CAPABILITIES,
        health=Health(healthy=bool(chance.randrange(10)), status="StatusOK"),
        packages=PackagesReport((held,), chance.randbytes(32)),
        connected=bool(chance.randrange(20)),
        last_seen=NOW,
    )


def known_agents(count: int) -> Iterator[AgentView]:
    """Yield so many agents, the same ones every time."""
    chance = random.Random(1)  # noqa: S311 - the same fleet every time
    return (an_agent(number, chance) for number in range(count))


def settle(registry: Registry, count: int) -> float:
    """Have so many agents reported and written down; return the seconds that writing took."""
    spent, coming = 0.0, known_agents(count)
    while batch := list(islice(coming, KEPT_AT_ONCE)):
        for view in batch:
            registry.keep(view)
        start = time.perf_counter()
        registry.flush()
        spent += time.perf_counter() - start
    return spent


TOGETHER = "all of these"
QUERIES = {
    "all": Filter(),
    "connected": Filter(live=frozenset({Liveness.CONNECTED})),
    "not connected": Filter(live=frozenset({Liveness.STALE, Liveness.GONE})),
    "unhealthy": Filter(health=frozenset({Wellbeing.UNHEALTHY})),
    "a label of a quarter": Filter({"site": "north"}),
    "a label of one in 211": Filter({"tenant": "t7"}),
    "a label of nobody": Filter({"site": "moon"}),
    "two labels": Filter({"site": "south", "ring": "broad"}),
    "two labels of disjoint sets": Filter({"site": "north", "ring": "nobody"}),
    "an attribute of most": Filter(attributes={"os.type": "linux"}),
    "an attribute of one": Filter(attributes={"host.name": "host-77.example.com"}),
    "two attributes of most": Filter(attributes={"os.type": "linux", "host.arch": "amd64"}),
    "a platform": Filter(platform="linux-arm64"),
    "everything at once": Filter(
        {"site": "north", "ring": "broad"},
        {"os.type": "linux", "cloud.region": "eu-1"},
        "linux-amd64",
        frozenset({Liveness.CONNECTED}),
        frozenset({Wellbeing.HEALTHY}),
    ),
}


def asked(database: Database, registry: Registry, wanted: Filter, after: int) -> int:
    """Answer one query as the API does, and return how many agents fit."""
    found = search.page(database, wanted, after=after, limit=PAGE)
    shown = [in_short(registry.find(AgentId(uid)), registry.live(AgentId(uid)), ()) for uid in found.uids]
    json.dumps({"agents": shown, "total": found.total, "next": found.after})
    return found.total


def timed(database: Database, registry: Registry, count: int, number: int = 0) -> Iterator[Timed]:
    """Ask every kind of query many times, in mixed order, which is another one in each round."""
    order = [name for name in QUERIES for _ in range(ROUNDS)]
    chance = random.Random(2 + number)  # noqa: S311 - the same orders every time
    chance.shuffle(order)
    times: dict[str, list[float]] = {name: [] for name in QUERIES}
    totals: dict[str, int] = {}
    for name in order:
        after = chance.choice((0, chance.randrange(count)))
        start = time.perf_counter()
        totals[name] = asked(database, registry, QUERIES[name], after)
        times[name].append((time.perf_counter() - start) * 1e3)
    for name, spent in times.items():
        yield Timed(name, totals[name], tuple(spent))
    yield Timed(TOGETHER, sum(totals.values()), tuple(one for spent in times.values() for one in spent))


def resident() -> float:
    """Return this process's memory now, in megabytes."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def measured(engine: str, count: int, disk: str | None = None) -> Iterator[str]:
    """Measure one engine, and yield lines for people."""
    with an_engine(engine, disk) as database:
        spent = settle(Registry(database, labels_of), count)
        yield f"{engine}: {count:,} agents written in {spent:.1f} s, {count / spent:,.0f} a second"
        gc.collect()
        before, start = resident(), time.perf_counter()
        registry = Registry(database, labels_of)
        took = time.perf_counter() - start
        gc.collect()
        yield f"{engine}: known after a restart in {took:.2f} s, {resident() - before:.0f} MB more"
        spent = settle(registry, count)
        gc.collect()
        yield f"{engine}: all back in {spent:.1f} s of writing, {resident() - before:.0f} MB more"
        for one in timed(database, registry, count):
            yield f"{one.name:<32}{one.total:>10,} found   p50 {one.p50:>6.1f} ms   p95 {one.p95:>6.1f} ms"


def asked_in_rounds(engine: str, count: int, rounds: int, disk: str | None = None) -> Iterator[Asked]:
    """Have one engine and a server know so many agents; yield what each round of queries took.

    Raises:
        tests.fakes.postgres.NoPostgresError: there is none on this machine.
    """
    with an_engine(engine, disk) as database:
        registry = Registry(database, labels_of)
        settle(registry, count)
        pauses.settle()  # as the server does
        for number in range(rounds):
            kinds = {one.name: one for one in timed(database, registry, count, number)}
            if kinds["all"].total != count:
                raise BenchmarkError(f"{engine}: {kinds['all'].total} agents found of {count}")
            together = kinds.pop(TOGETHER)
            yield Asked(together, max(kinds.values(), key=lambda one: one.p95))


def main(arguments: list[str]) -> int:
    """Measure both engines."""
    for engine in ENGINES:
        for line in measured(engine, int(arguments[0]) if arguments else AGENTS):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
