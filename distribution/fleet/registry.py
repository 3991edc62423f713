"""The agents in memory: what each last said, whoever it is connected to, written down in batches.

Rules:

1. Reading and keeping a view is memory only, so the event loop may do both. `flush` writes and belongs into a
   worker; a crash loses what was said since the last one, and agents say it again.
2. A heartbeat that changes nothing but its time is written at most every `SEEN_EVERY`.
3. Labels are an operator's over a token's, never the agent's own words.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from distribution.domain.agent import AgentView
from distribution.errors import UnknownError
from distribution.fleet import agents
from keys.identity import AgentId
from storage.database import Database

SEEN_EVERY: Final = timedelta(minutes=5)
"""How stale the stored time of an agent's last message may become while nothing else changes."""

TokenLabels = Callable[[AgentId], Mapping[str, str]]
"""Returns the labels of the token that an agent enrolled with."""


class Registry:
    """All agents. Views are values; `keep` is for the event loop, the rest may be called from any thread."""

    def __init__(self, database: Database, token_labels: TokenLabels) -> None:
        """Read all agents, and record that none is connected. Raises: as `Database.write`."""
        self._database = database
        self._token_labels = token_labels
        self._lock = threading.Lock()
        self._relabelling = threading.Lock()
        self._dirty: dict[UUID, AgentView] = {}
        self._saved: dict[UUID, datetime | None] = {}
        with database.write_relaxed() as connection:
            agents.none_connected(connection)
            found = agents.every(connection)
        self._views = {view.uid: view for view in found}
        self._labels: dict[UUID, Mapping[str, str]] = {view.uid: view.labels for view in found}

    def view(self, agent: AgentId) -> AgentView:
        """Return what is known of `agent`, nothing but its labels if it never reported."""
        known = self._views.get(agent.uuid) or AgentView(agent.uuid)
        return replace(known, labels=self.labels(agent))

    def find(self, agent: AgentId) -> AgentView:
        """Return what is known of `agent`. Raises UnknownError."""
        if agent.uuid not in self._views and agent.uuid not in self._labels:
            raise UnknownError(f"agent {agent} is unknown")
        return self.view(agent)

    def every(self) -> tuple[AgentView, ...]:
        """Return all agents in the order of their uids."""
        uids = sorted(set(self._views) | set(self._labels))
        return tuple(self.view(AgentId(uid)) for uid in uids)

    def labels(self, agent: AgentId) -> Mapping[str, str]:
        """Return the agent's labels: the operator's over its token's."""
        token, own = self._token_labels(agent), self._labels.get(agent.uuid)
        return {**token, **own} if own else token

    def keep(self, view: AgentView) -> None:
        """Remember this as what the agent is now; it is written by the next `flush` if it is news."""
        before = self._views.get(view.uid)
        self._views[view.uid] = view
        if before is None or _differs(before, view) or self._seen_is_stale(view):
            with self._lock:
                self._dirty[view.uid] = view

    def introduce(self, agent: AgentId) -> None:
        """Make an agent known that enrolled and did not report yet. Writes; not for the event loop."""
        with self._database.write_relaxed() as connection:
            agents.introduce(connection, agent)
        self._labels.setdefault(agent.uuid, {})

    def relabel(self, among: Iterable[AgentId] | None = None) -> None:
        """Read the operator's labels again, of these agents or of all. Reads; not for the event loop."""
        # Reading and putting in is one step: a slow reader must not bring back what was changed meanwhile.
        with self._relabelling:
            with self._database.read() as connection:
                found = agents.labels_of(connection, among)
            self._labels.update(found)

    def flush(self) -> int:
        """Write what changed since the last time; return how many agents. Raises: as `Database.write`.

        What could not be written stays for the next time.
        """
        with self._lock:
            views, self._dirty = self._dirty, {}
        if not views:
            return 0
        try:
            with self._database.write_relaxed() as connection:
                agents.save(connection, views.values())
        except BaseException:
            with self._lock:
                self._dirty = views | self._dirty
            raise
        self._saved.update((uid, view.last_seen) for uid, view in views.items())
        return len(views)

    def _seen_is_stale(self, view: AgentView) -> bool:
        saved = self._saved.get(view.uid)
        return view.last_seen is not None and (saved is None or view.last_seen - saved >= SEEN_EVERY)


def _differs(before: AgentView, after: AgentView) -> bool:
    """Whether anything that is stored changed; parts a message leaves out are the same objects."""
    return (
        before.packages is not after.packages
        or before.health is not after.health
        or before.description is not after.description
        or before.connected != after.connected
        or before.capabilities != after.capabilities
        or before.problem != after.problem
        or before.config is not after.config
        or before.effective is not after.effective
        or before.connections is not after.connections
        or before.components != after.components
    )
