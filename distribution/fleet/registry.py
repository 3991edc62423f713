"""The agents in memory: what each last said, whoever it is connected to, written down in batches.

Rules:

1. Reading and keeping a view is memory only, so the event loop may do both. `flush` writes and belongs into a
   worker; a crash loses what was said since the last one, and agents say it again.
2. A heartbeat that changes nothing but its time is written at most every `SEEN_EVERY`; what changed is
   written by one transaction for all agents, and no more of a row than changed.
3. Labels are an operator's over a token's, never the agent's own words.
4. An agent that was not heard since the start is kept as its row; it becomes a view when it is needed.
5. After a start nobody is connected until it is heard.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from distribution.domain.agent import AgentView
from distribution.domain.liveness import USUAL, Liveness, Patience, silence_allowed
from distribution.errors import UnknownError
from distribution.fleet import agents, changes, facts, index, status
from distribution.fleet.breath import Breath, resting
from distribution.fleet.changes import Entry
from distribution.fleet.holders import Holders
from keys.identity import AgentId
from storage.database import Database

SEEN_EVERY: Final = timedelta(minutes=5)
"""How stale the stored time of an agent's last message may become while nothing else changes."""

FLUSH_MAX: Final = 10_000
"""Agents that one flush writes; more wait for the next."""

SWEEP_STEPS: Final = 15
"""Calls of `sweep` until every agent was looked at."""

_TAKEN: Final = 500
"""Entries that are taken while the event loop may have to wait."""

TokenLabels = Callable[[AgentId], Mapping[str, str]]
"""Returns the labels of the token that an agent enrolled with."""

OwnBeat = Callable[[AgentView], timedelta | None]
"""Returns the heartbeat that an agent alone is to have, if it is; memory only, for any thread."""


class Registry:
    """All agents. Views are values; `view` and `keep` are for the event loop, the rest for any thread."""

    def __init__(
        self,
        database: Database,
        token_labels: TokenLabels,
        patience: Patience = USUAL,
        own_beat: OwnBeat = lambda _: None,
    ) -> None:
        """Read all agents, and record that none is connected. Raises: as `Database.write`."""
        self._database = database
        self._token_labels = token_labels
        self._patience = patience
        self._own_beat = own_beat
        self._lock = threading.Lock()
        self._relabelling = threading.Lock()
        self._dirty: list[Entry] = []
        self._entries: dict[UUID, Entry] = {}
        self._sweeping: Iterator[Entry] = iter(())
        self.holders = Holders()
        self.labelled = 0
        """How often labels of operators changed."""
        with database.write_relaxed() as connection:
            status.none_connected(connection)
            index.nobody_connected(connection)
            self._load(connection)

    def view(self, agent: AgentId) -> AgentView:
        """Return what is known of `agent`, nothing but its labels if it never reported."""
        entry = self._entries.get(agent.uuid)
        if entry is None:
            return AgentView(agent.uuid, labels=self.labels(agent))
        known = entry.view()
        entry.known, entry.beaten = known, None
        labels = self.labels(agent)
        return known if known.labels == labels else replace(known, labels=labels)

    def entry(self, view: AgentView) -> Entry | None:
        """Return where heartbeats of this agent may be noted, None unless `view` is what was kept last."""
        entry = self._entries.get(view.uid)
        return entry if entry is not None and entry.known is view else None

    def find(self, agent: AgentId) -> AgentView:
        """Return what is known of `agent`. Raises UnknownError."""
        return replace(self._entry(agent).view(), labels=self.labels(agent))

    def knows(self, agent: AgentId) -> bool:
        """Say whether `find` would find it."""
        return agent.uuid in self._entries

    def live(self, agent: AgentId) -> Liveness:
        """Return whether the agent is there, as it was last looked at. Raises UnknownError."""
        return self._entry(agent).live

    def labels(self, agent: AgentId) -> Mapping[str, str]:
        """Return the agent's labels: the operator's over its token's."""
        token, entry = self._token_labels(agent), self._entries.get(agent.uuid)
        return {**token, **entry.labels} if entry is not None and entry.labels else token

    def keep(self, view: AgentView) -> None:
        """Remember this as what the agent is now; it is written by the next `flush` if it is news."""
        entry = self._entries.get(view.uid)
        if entry is None:
            entry = self._entries[view.uid] = Entry(view.uid)
        what = changes.ALL if entry.known is None else changes.between(entry.view(), view)
        entry.known, entry.beaten = view, None
        if view.connected is not (entry.live is Liveness.CONNECTED):
            entry.live = Liveness.CONNECTED if view.connected else Liveness.STALE
            what |= changes.SEEN | changes.STATE
        if what or _is_stale(entry.saved, view.last_seen):
            self._mark(entry, what or changes.SEEN)

    def introduce(self, agent: AgentId) -> None:
        """Make an agent known that enrolled, and its labels those of its token. Writes; not for the loop."""
        with self._database.write_relaxed() as connection:
            agents.introduce(connection, agent)
            number = self._index_labels(connection, agent, self.labels(agent))
        entry = self._entries.setdefault(agent.uuid, Entry(agent.uuid))
        entry.number = number
        self._mark(entry, changes.STATE)

    def forget(self, agent: AgentId) -> None:
        """Forget all that an agent said, as if it had never spoken; its labels stay. From any thread.

        As a holder of its uid it MUST have ended, and its connections MUST have been cut since. What is
        written of it follows with the next `flush`.
        """
        entry = self._entries.get(agent.uuid)
        if entry is not None:
            entry.known, entry.beaten, entry.saved = AgentView(agent.uuid), None, None
            entry.live = Liveness.GONE
            self._mark(entry, changes.ALL)

    def given(self, agent: AgentId) -> Mapping[str, str]:
        """Return the labels that operators gave it, without those of its token."""
        entry = self._entries.get(agent.uuid)
        return agents.NO_LABELS if entry is None else entry.labels

    def set_labels(self, connection: Connection, agent: AgentId, labels: Mapping[str, str]) -> None:
        """Replace the operator's labels of an agent. The caller MUST `relabel` it after the commit.

        Raises: as `agents.set_labels`.
        """
        agents.set_labels(connection, agent, labels)
        self._index_labels(connection, agent, {**self._token_labels(agent), **labels})

    def relabel(self, among: Iterable[AgentId] | None = None) -> None:
        """Read the operator's labels again, of these agents or of all. Reads; not for the event loop."""
        # Reading and putting in is one step: a slow reader must not bring back what was changed meanwhile.
        with self._relabelling:
            with self._database.read() as connection:
                found = agents.labels_of(connection, among)
            if among is None:
                for uid, entry in list(self._entries.items()):
                    entry.labels = found.get(uid, agents.NO_LABELS)
            for uid, labels in found.items():
                self._entries.setdefault(uid, Entry(uid)).labels = labels
            self.labelled += 1

    def sweep(self, now: datetime) -> None:
        """Look at a part of the agents, whether they are still there; call it once a second."""
        for _ in resting(range(len(self._entries) // SWEEP_STEPS + 1), Breath()):
            entry = next(self._sweeping, None)
            if entry is None:
                self._sweeping = iter(list(self._entries.values()))
                return
            known, live = entry.known, entry.live
            found = self._judged(entry, now)
            # To be connected is for `keep` to say; what was heard meanwhile counts more than what was found.
            if found is not live and found is not Liveness.CONNECTED and entry.known is known:
                entry.live = found
                self._mark(entry, changes.SEEN | changes.STATE)

    def _judged(self, entry: Entry, now: datetime) -> Liveness:
        found = entry.judged(self._patience, now)
        if found is Liveness.CONNECTED or entry.live is not Liveness.CONNECTED:
            return found
        # It is late by the usual heartbeat; few have one of their own, so only now it is asked for.
        own = self._own_beat(replace(entry.view(), labels=self._labels_of(entry.uid)))
        return found if own is None else entry.judged(self._patience, now, own)

    def silence_allowed(self, view: AgentView) -> timedelta | None:
        """Return how long this agent may be silent, by its own heartbeat if it has one; None: for ever."""
        return silence_allowed(view, self._patience, self._own_beat(view))

    def flush(self) -> int:
        """Write what changed since the last time; return how many agents. Raises: as `Database.write`.

        What could not be written stays for the next time.
        """
        with self._lock:
            dirty, self._dirty = self._dirty[:FLUSH_MAX], self._dirty[FLUSH_MAX:]
        if not dirty:
            return 0
        breathe = Breath()
        taken = list(zip(dirty, self._taken(dirty), strict=True))
        try:
            with self._database.write_relaxed() as connection:
                written = changes.write(connection, taken, self._labels_of, breathe)
        except BaseException:
            for entry, what in taken:
                self._mark(entry, what)
            raise
        for entry in resting(dirty, breathe):
            if entry.number is None:
                entry.number = written.numbers[entry.uid]
        for entry, seen in resting(written.saved, breathe):
            entry.saved = seen
        return len(taken)

    def _load(self, connection: Connection) -> None:
        gone = index.members_of(connection, facts.LIVE[Liveness.GONE])
        standing = index.members_of(connection, *facts.DELIVERED.values())
        unlabelled: list[Entry] = []
        for row in agents.every(connection):
            uid = UUID(row.uid)
            entry = self._entries[uid] = Entry(uid)
            entry.known, entry.saved, entry.number = row, row.last_seen, row.number
            entry.labels = agents.labels_in(row)
            entry.live = Liveness.GONE if entry.number in gone else Liveness.STALE
            if not row.indexed:
                self._mark(entry, changes.ALL)  # of a database that had no index
            elif entry.number not in standing:
                self._mark(entry, changes.STATE)  # of one whose index had nothing of packages
            if row.number is not None and not row.labelled:
                unlabelled.append(entry)  # the same: its upgrade gave it a number and no more
        if unlabelled:
            edit = index.Edit(connection)
            found = {entry.number: self._labels_of(entry.uid) for entry in unlabelled if entry.number}
            edit.label({number: facts.of_labels(labels) for number, labels in found.items()})
            edit.apply()

    def _labels_of(self, uid: UUID) -> Mapping[str, str]:
        return self.labels(AgentId(uid))

    def _entry(self, agent: AgentId) -> Entry:
        entry = self._entries.get(agent.uuid)
        if entry is None:
            raise UnknownError(f"agent {agent} is unknown")
        return entry

    def _taken(self, dirty: Sequence[Entry]) -> Iterator[int]:
        """Yield what is to be written of each, and note that somebody does."""
        for start in range(0, len(dirty), _TAKEN):
            part = dirty[start : start + _TAKEN]
            with self._lock:
                found = [entry.changed for entry in part]
                for entry in part:
                    entry.changed = changes.NOTHING
            yield from found

    def _mark(self, entry: Entry, what: int) -> None:
        with self._lock:
            if not entry.changed:
                self._dirty.append(entry)
            entry.changed |= what

    def _index_labels(self, connection: Connection, agent: AgentId, labels: Mapping[str, str]) -> int:
        edit = index.Edit(connection)
        number = edit.number([agent.uuid])[agent.uuid]
        edit.label({number: facts.of_labels(labels)})
        edit.apply()
        return number


def _is_stale(saved: datetime | None, seen: datetime | None) -> bool:
    # In either direction: a clock that was set back leaves a time in the future.
    return seen is not None and (saved is None or abs(seen - saved) >= SEEN_EVERY)
