"""What is to be written of one agent, and one transaction that writes it for many.

A change is a sum of parts, and a part is a few columns; the last of them is of the index alone. Agents with
the same parts changed are written together, so that no more is written than changed. Status, which is all
that most changes are of, has its own table.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from distribution.domain.agent import AgentView
from distribution.domain.liveness import Liveness, Patience, Wellbeing, away, liveness, wellbeing
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
"""Whether it is there and well: of the index, no column."""
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

    def judged(self, patience: Patience, now: datetime) -> Liveness:
        """Return whether the agent is there at `now`."""
        if isinstance(self.known, AgentView):
            return liveness(self.known, patience, now, self.beaten)
        return away(None if self.known is None else self.known.last_seen, patience, now)


class Change(NamedTuple):
    """What is to be written of one agent. `view` is None for one that never spoke."""

    entry: Entry
    what: int
    view: AgentView | None
    live: Liveness
    number: int | None


def of(entry: Entry, what: int) -> Change:
    """Return the change of these parts, with what the agent is now."""
    view = None if entry.known is None else entry.view()
    return Change(entry, what, view, entry.live, entry.number)


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
    if _others_differ(before, after):
        found |= OTHER
    return found | SEEN if found else NOTHING


def write(
    connection: Connection,
    changes: Sequence[Change],
    labels: Callable[[UUID], Mapping[str, str]],
    pause: Callable[[], None],
) -> dict[UUID, int]:
    """Write these changes, rows first; return the numbers of agents that got one.

    Args:
        connection: a transaction that writes; a relaxed one will do.
        changes: one an agent.
        labels: an agent's, for the index of one that is new to it.
        pause: called between pieces of work.
    """
    _rows(connection, changes, pause)
    edit = index.Edit(connection, pause)
    fresh = edit.number(one.entry.uid for one in changes if one.number is None)
    _status(connection, changes, fresh, pause)
    edit.label({number: facts.of_labels(labels(uid)) for uid, number in fresh.items()})
    _index(edit, changes, fresh, pause)
    return fresh


def _rows(connection: Connection, changes: Sequence[Change], pause: Callable[[], None]) -> None:
    fresh: list[AgentView] = []
    known: dict[int, list[AgentView]] = {}
    for one in changes:
        if one.view is None:
            continue
        if one.number is None:
            fresh.append(one.view)
        elif one.what & _ROW:
            known.setdefault(one.what & _ROW, []).append(one.view)
    for batch in _batches(fresh):
        agents.save(connection, batch)
        pause()
    for what, views in known.items():
        columns = [name for part, names in _COLUMNS.items() if what & part for name in names]
        agents.update_columns(connection, views, columns, pause)


def _status(
    connection: Connection, changes: Sequence[Change], fresh: Mapping[UUID, int], pause: Callable[[], None]
) -> None:
    whole: list[tuple[int, AgentView]] = []
    seen: list[tuple[int, AgentView]] = []
    for entry, what, view, _, known in resting(changes, pause):
        if view is None:
            continue
        if known is None:
            whole.append((fresh[entry.uid], view))
        elif what & HEALTH:
            whole.append((known, view))
        elif what & SEEN:
            seen.append((known, view))
    status.put(connection, whole, pause)
    status.put_seen(connection, seen, pause)


def _index(
    edit: index.Edit, changes: Sequence[Change], fresh: Mapping[UUID, int], pause: Callable[[], None]
) -> None:
    told: dict[int, frozenset[int]] = {}
    standing: dict[tuple[Liveness, Wellbeing], list[int]] = {}
    for entry, what, view, live, known in resting(changes, pause):
        number = fresh[entry.uid] if known is None else known
        if what & STATE or known is None:
            well = Wellbeing.UNKNOWN if view is None else wellbeing(view)
            standing.setdefault((live, well), []).append(number)
        if view is not None and (what & TOLD or known is None):
            told[number] = facts.of_description(view.description)
    edit.stand(standing)
    edit.tell(told)
    edit.apply()


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
