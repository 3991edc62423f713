"""What is remembered of an agent from one of its connections to the next. In memory; the event loop's.

A reconnect is no reason to offer settings again, to ask again, or to give a new share of the journal.
"""

from dataclasses import replace
from uuid import UUID

from distribution.domain.agent import AgentView, Report
from distribution.protocol.asking import Asked
from distribution.protocol.pacing import NOTHING_EARLIER, Earlier, Offered
from distribution.protocol.package_events import Notes
from distribution.protocol.session import Session, Standing


class Kept:
    """Of every agent that there is something to remember of."""

    def __init__(self) -> None:
        self._notes: dict[UUID, Notes | None] = {}
        self._connections: dict[UUID, Offered] = {}
        self._asked: dict[UUID, Asked] = {}
        self._earlier: dict[UUID, Earlier] = {}

    def begin(self, view: AgentView, standing: Standing) -> Session:
        """Return the state that a connection begins with; of an agent that was reset nothing is left."""
        uid = view.uid
        if view.last_seen is None:
            return Session(view, standing)
        return Session(
            view,
            standing,
            connections=self._connections.get(uid),
            asked=self._asked.get(uid),
            earlier=self._earlier.get(uid, NOTHING_EARLIER),
            notes=self._notes.get(uid),
        )

    def drop(self, uid: UUID) -> None:
        """Remember nothing: its holder is another one."""
        for known in (self._notes, self._connections, self._asked, self._earlier):
            known.pop(uid, None)

    def counted(self, session: Session, report: Report) -> Session:
        """Return the state with what was counted of the agent's package events, whoever counted it."""
        if report.packages is None or (notes := self._notes.get(report.uid)) is session.notes:
            return session
        return replace(session, notes=notes)

    def keep(self, before: Session, after: Session, report: Report | None = None) -> None:
        """Remember what changed from one state to the next, by a message or by a wake-up."""
        uid, asked = after.view.uid, after.asked
        if report is not None and report.packages is not None:
            self._notes[uid] = after.notes
        if after.connections is None:
            self._connections.pop(uid, None)
        elif after.connections is not before.connections:
            self._connections[uid] = after.connections
        known = self._earlier.get(uid, NOTHING_EARLIER)
        offered, config = after.offered or known.packages, after.config or known.config
        if offered is not known.packages or config is not known.config:
            self._earlier[uid] = Earlier(offered, config)
        if asked is not before.asked:
            if asked is not None and asked.times:
                self._asked[uid] = asked
            else:
                self._asked.pop(uid, None)
