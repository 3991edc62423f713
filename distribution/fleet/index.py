"""The index of the fleet: which agents carry which facts, so that a list of many is found and counted fast.

Each agent has a number, given once, in the order of their coming; a fact has, for every 8192 numbers, one row
with the set of its agents. A filter reads a few rows and intersects them, however large the fleet and
whichever the database; pages follow the numbers, so a new agent never moves an old one.

Rules:

1. Rows of `agents` first, then the index, in every transaction: writers wait for each other in one order.
2. What the index holds of an agent's labels and words is written beside its number, so a change takes out
   exactly what was put in. None means that nothing was put in yet.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    func,
    select,
)

from distribution.domain.liveness import Delivery, Liveness, Wellbeing
from distribution.fleet import bits, facts
from storage.bulk import put_rows, update_rows
from storage.database import metadata

numbers: Final = Table(
    "agent_numbers",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("labels", LargeBinary, nullable=True),
    Column("told", LargeBinary, nullable=True),
)

members: Final = Table(
    "agent_facts",
    metadata,
    Column("fact", BigInteger, primary_key=True, autoincrement=False),
    Column("chunk", Integer, primary_key=True, autoincrement=False),
    Column("members", LargeBinary, nullable=False),
)

Wanted = Sequence[frozenset[int]]
"""Facts an agent must have: of each set one."""

Pause = Callable[[], None]
"""Called between pieces of long work, so that other threads get their turn."""

Standing = tuple[Liveness, Wellbeing, Delivery]
"""Whether an agent is there, whether it is well, and how its packages are."""

_STATES: Final = frozenset(
    {facts.EVERY, *facts.LIVE.values(), *facts.WELL.values(), *facts.DELIVERED.values()}
)
_BATCH: Final = 500
_POSTGRES_LOCK: Final = 0x51554152544552_32  # "QUARTER2": writers of the index take turns
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found:
    """One page: agents in the order of their numbers, and how many there are on all pages."""

    uids: tuple[UUID, ...]
    after: int | None
    """Where the next page begins; None on the last one."""
    total: int


class Edit:
    """Changes of the index in one transaction; nothing is written before `apply`."""

    def __init__(self, connection: Connection, pause: Pause = lambda: None) -> None:
        """Take the turn: one writer at a time until the transaction ends."""
        self._connection = connection
        self._pause = pause
        self._in: dict[tuple[int, int], int] = {}
        self._out: dict[tuple[int, int], int] = {}
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_POSTGRES_LOCK)))

    def number(self, uids: Iterable[UUID]) -> dict[UUID, int]:
        """Return the numbers of these agents; one that has none gets one."""
        found: dict[UUID, int] = {}
        for batch in _batches(uids):
            texts = [str(uid) for uid in batch]
            known = _numbers(self._connection, texts)
            fresh = [text for text in texts if text not in known]
            if fresh:
                put_rows(self._connection, numbers, ("uid",), (), [(text,) for text in fresh])
                known |= _numbers(self._connection, fresh)
            found.update((uid, known[str(uid)]) for uid in batch)
            self._pause()
        return found

    def stand(self, standing: Mapping[Standing, Iterable[int]]) -> None:
        """Put down how agents, by their numbers, stand, and how they do not."""
        for (live, well, delivered), numbered in standing.items():
            true = {facts.EVERY, facts.LIVE[live], facts.WELL[well], facts.DELIVERED[delivered]}
            for chunk, found in bits.chunks(numbered):
                for one in _STATES:
                    into = self._in if one in true else self._out
                    into[one, chunk] = into.get((one, chunk), 0) | found
            self._pause()

    def label(self, found: Mapping[int, frozenset[int]]) -> None:
        """Put down the facts of these agents' labels, by their numbers."""
        self._replace("labels", found)

    def tell(self, found: Mapping[int, frozenset[int]]) -> None:
        """Put down the facts of what these agents say of themselves, by their numbers."""
        self._replace("told", found)

    def apply(self) -> None:
        """Write what changed."""
        keys = sorted(self._in.keys() | self._out.keys())
        for batch in _batches(keys):
            self._apply(batch)
            self._pause()
        self._in.clear()
        self._out.clear()

    def _replace(self, column: str, found: Mapping[int, frozenset[int]]) -> None:
        for batch in _batches(found):
            query = select(numbers.c.number, numbers.c[column]).where(numbers.c.number.in_(batch))
            changed = []
            for number, data in self._connection.execute(query):
                before, now = facts.unpacked(data), found[number]
                for one in now - before:
                    self._change(one, number, self._in)
                for one in before - now:
                    self._change(one, number, self._out)
                if data is None or before != now:
                    changed.append((number, facts.packed(now)))
            update_rows(self._connection, numbers, "number", (column,), changed)
            self._pause()

    def _change(self, fact: int, number: int, into: dict[tuple[int, int], int]) -> None:
        chunk, place = divmod(number, bits.CHUNK)
        key = (fact, chunk)
        into[key] = into.get(key, 0) | 1 << place

    def _apply(self, keys: Sequence[tuple[int, int]]) -> None:
        query = select(members).where(
            members.c.fact.in_({fact for fact, _ in keys}), members.c.chunk.in_({chunk for _, chunk in keys})
        )
        held = {(fact, chunk): bits.unpack(data) for fact, chunk, data in self._connection.execute(query)}
        put, gone = [], []
        for key in keys:
            before = held.get(key, 0)
            after = before & ~self._out.get(key, 0) | self._in.get(key, 0)
            if after and after != before:
                put.append((*key, bits.pack(after)))
            elif before and not after:
                gone.append({"of": key[0], "at": key[1]})
        put_rows(self._connection, members, ("fact", "chunk"), ("members",), put)
        if gone:
            where = (members.c.fact == bindparam("of"), members.c.chunk == bindparam("at"))
            self._connection.execute(delete(members).where(*where), gone)


def search(connection: Connection, wanted: Wanted, *, after: int, limit: int) -> Found:
    """Return one page of the agents that have a fact of each set in `wanted`; of all where it is empty.

    Args:
        connection: any transaction.
        wanted: what they must have.
        after: where the page begins: that of the page before, or 0.
        limit: agents on a page, at least one.
    """
    page: list[int] = []
    total = 0
    for chunk, found in _matching(connection, wanted):
        total += found.bit_count()
        base = chunk * bits.CHUNK
        if len(page) <= limit and base + bits.CHUNK > after:
            beyond = found >> (after + 1 - base) << (after + 1 - base) if after >= base else found
            page += [base + place for place in bits.lowest(beyond, limit + 1 - len(page))]
    shown = page[:limit]
    rows = connection.execute(select(numbers.c.number, numbers.c.uid).where(numbers.c.number.in_(shown)))
    by_number = {number: UUID(uid) for number, uid in rows}
    following = shown[-1] if len(page) > limit else None
    return Found(tuple(by_number[number] for number in shown), following, total)


def count(connection: Connection, wanted: Wanted = ()) -> int:
    """Return how many agents have a fact of each set in `wanted`."""
    return sum(found.bit_count() for _, found in _matching(connection, wanted))


def members_of(connection: Connection, *any_of: int) -> frozenset[int]:
    """Return the numbers of all agents that have one of these facts."""
    return frozenset(
        chunk * bits.CHUNK + place
        for chunk, found in _matching(connection, (frozenset(any_of),))
        for place in bits.lowest(found, bits.CHUNK)
    )


def nobody_connected(connection: Connection) -> None:
    """Put down that whoever was connected is stale: the truth when a server starts."""
    Edit(connection)  # takes the turn
    here, stale = facts.LIVE[Liveness.CONNECTED], facts.LIVE[Liveness.STALE]
    rows = connection.execute(select(members).where(members.c.fact.in_((here, stale))))
    merged: dict[int, int] = {}
    for row in rows:
        merged[row.chunk] = merged.get(row.chunk, 0) | bits.unpack(row.members)
    connection.execute(delete(members).where(members.c.fact.in_((here, stale))))
    if merged:
        held = [(stale, chunk, bits.pack(found)) for chunk, found in merged.items()]
        put_rows(connection, members, ("fact", "chunk"), ("members",), held)


def _matching(connection: Connection, wanted: Wanted) -> Iterator[tuple[int, int]]:
    """Yield chunks in order, each with the set of its numbers that match."""
    asked = wanted or (frozenset({facts.EVERY}),)
    query = select(members).where(members.c.fact.in_(frozenset().union(*asked)))
    held: dict[int, dict[int, int]] = {}
    for fact, chunk, data in connection.execute(query):
        held.setdefault(chunk, {})[fact] = bits.unpack(data)
    for chunk in sorted(held):
        found = -1
        for alternatives in asked:
            one_of = 0
            for fact in alternatives:
                one_of |= held[chunk].get(fact, 0)
            found &= one_of
        if found:
            yield chunk, found


def _numbers(connection: Connection, texts: Sequence[str]) -> dict[str, int]:
    rows = connection.execute(select(numbers.c.uid, numbers.c.number).where(numbers.c.uid.in_(texts)))
    return {row.uid: row.number for row in rows}


def _batches(found: Iterable[_T]) -> Iterator[list[_T]]:
    everything = list(found)
    for start in range(0, len(everything), _BATCH):
        yield everything[start : start + _BATCH]
