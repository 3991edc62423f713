"""What is to be written of one agent, and one transaction that writes it for many.

A change is a sum of parts, and a part is a few columns; the last of them is of the index alone. Agents with
the same parts changed are written together, so that no more is written than changed. Status, which is all
that most changes are of, has its own table.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from distribution.domain.agent import AgentView
from distribution.domain.liveness import (
    Delivery,
    Liveness,
    Patience,
    Wellbeing,
    away,
    delivery,
    liveness,
    wellbeing,
)
from distribution.fleet import agents, facts, index, status
from distribution.fleet.breath import resting
from distribution.fleet.rows import AgentRow, view_of

NOTHING: Final = 0
SEEN: Final = 1
HEALTH: Final = 2
TOLD: Final = 4
PACKAGES: Final = 8
OTHER: Final = 16
STATE: Final = 32
"""Whether it is there and well, and how its packages are: of the index, no column."""
ALL: Final = SEEN | HEALTH | TOLD | PACKAGES | OTHER | STATE

_COLUMNS: Final[Mapping[int, tuple[str, ...]]] = {
    TOLD: ("description", "platform"),
    PACKAGES: ("packages",),
    OTHER: ("capabilities", "problem", "config", "effective", "connections", "components"),
}
_ROW: Final = TOLD | PACKAGES | OTHER
_BATCH: Final = 500
_T = TypeVar("_T")


class Entry:
    """One agent in memory."""

    __slots__ = ("beaten", "changed", "known", "labels", "live", "number", "saved", "sequence", "uid")

    def __init__(self, uid: UUID) -> None:
        self.uid = uid
        self.changed = NOTHING
        """What is to be written of it; the registry's, under its lock."""
        self.known: AgentView | AgentRow | None = None
        """What it said last; its row while it was not needed since the start; None if it never spoke."""
        self.labels: Mapping[str, str] = agents.NO_LABELS
        """An operator's."""
        self.live = Liveness.GONE
        self.number: int | None = None
        """In the index; None until it is there."""
        self.saved: datetime | None = None
        """Its last message as the row has it."""
        self.beaten: datetime | None = None
        """When a heartbeat came since `known`, if one did."""
        self.sequence = 0
        """That heartbeat's number; it goes with `beaten`."""

    def view(self) -> AgentView:
        """Return what is known, whatever form it has."""
        known, beaten = self.known, self.beaten
        if known is None:
            return AgentView(self.uid)
        if isinstance(known, AgentView):
            return known if beaten is None else replace(known, last_seen=beaten, sequence=self.sequence)
        return view_of(known)

    def judged(self, patience: Patience, now: datetime, own_beat: timedelta | None = None) -> Liveness:
        """Return whether it is there at `now`; `own_beat` is the heartbeat that it alone is to have."""
        if isinstance(self.known, AgentView):
            return liveness(self.known, patience, now, self.beaten, own_beat)
        return away(None if self.known is None else self.known.last_seen, patience, now)


def between(before: AgentView, after: AgentView) -> int:
    """Return which parts changed from one view to the next, its time aside.

    What a message leaves out, or says again, is the same object, which is seen at once.
    """
    found = NOTHING
    if before.connected is not after.connected:
        found = STATE
    if before.health is not after.health and before.health != after.health:
        found |= HEALTH | STATE
    if before.description is not after.description and before.description != after.description:
        found |= TOLD
    if before.packages is not after.packages and before.packages != after.packages:
        found |= PACKAGES
        if delivery(before) is not delivery(after):
            found |= STATE
    if _others_differ(before, after):
        found |= OTHER
    return found | SEEN if found else NOTHING


class Written(NamedTuple):
    """What one transaction wrote, to be noted after it: new numbers, and the last message of each."""

    numbers: Mapping[UUID, int]
    saved: Sequence[tuple[Entry, datetime | None]]


def write(
    connection: Connection,
    changes: Iterable[tuple[Entry, int]],
    labels: Callable[[UUID], Mapping[str, str]],
    pause: Callable[[], None],
) -> Written:
    """Write these changes: status first, then rows, then the index.

    Args:
        connection: a transaction that writes; a relaxed one will do.
        changes: what is to be written of each agent; one comes once at most.
        labels: an agent's, for the index of one that is new to it.
        pause: called between pieces of work.
    """
    work = _Work()
    # Looked through while the database works on what was sent already.
    status.put(connection, work.sorting(resting(changes, pause)), pause)
    status.put_seen(connection, work.seen, pause)
    for batch in _batches([view for _, view in work.fresh if view is not None]):
        agents.save(connection, batch)
        pause()
    for what, views in work.rows.items():
        columns = [name for part, names in _COLUMNS.items() if what & part for name in names]
        agents.update_columns(connection, views, columns, pause)
    edit = index.Edit(connection, pause)
    numbers = edit.number(entry.uid for entry, _ in work.fresh)
    for entry, view in resting(work.fresh, pause):
        work.index(numbers[entry.uid], entry, ALL, view)
    status.put(connection, [(numbers[one.uid], view) for one, view in work.fresh if view is not None], pause)
    edit.label({number: facts.of_labels(labels(uid)) for uid, number in numbers.items()})
    edit.stand(work.standing)
    edit.tell(work.told)
    edit.apply()
    return Written(numbers, work.saved)


class _Work:
    """Changes sorted by where they are written."""

    def __init__(self) -> None:
        self.fresh: list[tuple[Entry, AgentView | None]] = []
        """Agents without a number."""
        self.rows: dict[int, list[AgentView]] = {}
        """By the parts of the row that changed."""
        self.seen: list[tuple[int, AgentView]] = []
        """Agents of which no more of the status changed than whether and when they were seen."""
        self.standing: dict[index.Standing, list[int]] = {}
        self.told: dict[int, frozenset[int]] = {}
        self.saved: list[tuple[Entry, datetime | None]] = []

    def sorting(self, changes: Iterable[tuple[Entry, int]]) -> Iterator[tuple[int, AgentView]]:
        """Yield the numbers and views of those whose whole status is written; put the rest down."""
        for entry, what in changes:
            view = None if entry.known is None else entry.view()
            if view is not None and what & SEEN:
                self.saved.append((entry, view.last_seen))
            number = entry.number
            if number is None:
                self.fresh.append((entry, view))
                continue
            self.index(number, entry, what, view)
            if view is None:
                continue
            if what & _ROW:
                self.rows.setdefault(what & _ROW, []).append(view)
            if what & HEALTH:
                yield number, view
            elif what & SEEN:
                self.seen.append((number, view))

    def index(self, number: int, entry: Entry, what: int, view: AgentView | None) -> None:
        """Put down what is to be found by the index."""
        if what & STATE:
            well = Wellbeing.UNKNOWN if view is None else wellbeing(view)
            delivered = Delivery.SETTLED if view is None else delivery(view)
            self.standing.setdefault((entry.live, well, delivered), []).append(number)
        if what & TOLD and view is not None:
            self.told[number] = facts.of_description(view.description)


def _others_differ(before: AgentView, after: AgentView) -> bool:
    return (
        before.capabilities != after.capabilities
        or before.problem != after.problem
        or before.config is not after.config
        or before.effective is not after.effective
        or before.connections is not after.connections
        or before.components is not after.components
    )


def _batches(found: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(found), _BATCH):
        yield found[start : start + _BATCH]
