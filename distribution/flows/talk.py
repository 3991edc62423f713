"""One conversation, as the event loop holds it: who speaks, how far it came, what the agent is to have.

Its heartbeats may take a short way. One that changes nothing needs no new state: its number and time are
noted beside it, here and at the agent's entry in the fleet, and whoever asks for the state finds them in it.
The short way is open only while the step (`protocol.session`) would find nothing to do, until the time that
it names: whatever sets the state closes it.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from distribution.domain.agent import Plan
from distribution.domain.liveness import Liveness
from distribution.fleet.changes import Entry
from distribution.flows.enrol import Caller
from distribution.flows.identify import Name
from distribution.protocol.alike import Push
from distribution.protocol.beats import Beat
from distribution.protocol.kinds import Kind
from distribution.protocol.session import Session
from keys.admission import Admitted

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class Talk:
    """One connection's conversation; over plain HTTP, one agent's. Belongs to the event loop."""

    __slots__ = (
        "_beat",
        "_beaten",
        "_entry",
        "_number",
        "admitted",
        "caller",
        "holder",
        "kind",
        "labelled",
        "name",
        "next_beat",
        "plan",
        "planned_at",
        "prefix",
        "pushed",
        "since",
        "state",
        "until",
    )

    def __init__(self, caller: Caller, session: Session | None, holder: int = 0) -> None:
        self.caller = caller
        self.holder = holder
        """Which holder of its uid the agent is (`fleet.holders`)."""
        self.state = session
        """The state but for what is in `pushed`, and for the heartbeats that came the short way."""
        self.pushed: Push | None = None
        """What the last wake-up led to, if it is not in the state yet."""
        self.kind: Kind | None = None
        """Of which kind the agent is with `state` and `pushed`; None: to be found."""
        self.name = None if caller.serial is not None else Name()
        self.plan: Plan | None = None
        """None: to be decided with the next message."""
        self.planned_at = _LONG_AGO
        self.labelled = -1
        """As of which change of labels the state has the agent's (`flows.waking`)."""
        self.prefix: bytes | None = None
        """What the transport puts before each message; None: every message is to be read."""
        self.since = self.until = _LONG_AGO
        """From when until when heartbeats may come the short way (aware UTC)."""
        self.next_beat = b""
        """The heartbeat that follows on, byte by byte."""
        self.admitted: Admitted | None = None
        """Why its sender is let in; whether he still is, is asked for each."""
        self._beat: Beat | None = None
        self._entry: Entry | None = None
        self._number = 0
        self._beaten: datetime | None = None
        """When the last heartbeat came that is not in the state."""

    @property
    def uid(self) -> UUID | None:
        """The uid that the peer is answered under; None until it said who it is."""
        if self.name is not None and self.name.alias is not None:
            return self.name.alias
        return None if self.state is None else self.state.view.uid

    @property
    def session(self) -> Session | None:
        """The state; None until a peer without a certificate has said who it is."""
        session, beaten = self.state, self._beaten
        if session is not None and self.pushed is not None:
            session = self.pushed.over(session)
        if beaten is None or session is None:
            return session
        return replace(session, view=replace(session.view, last_seen=beaten, sequence=self._number))

    @session.setter
    def session(self, session: Session | None) -> None:
        self.state = session
        self.pushed = self.kind = self._beaten = None
        self.until = _LONG_AGO

    def open_short_way(self, entry: Entry, admitted: Admitted, since: datetime, until: datetime) -> None:
        """From now on, let heartbeats that follow on come by their bytes alone.

        Args:
            entry: the agent's, in the fleet.
            admitted: why it is let in, itself and not through another.
            since: aware UTC; before it there was an earlier one, if the clock was set back.
            until: aware UTC.
        """
        view = None if self.state is None else self.state.view
        if view is None or view.sequence is None or self.prefix is None or admitted.agent.uuid != view.uid:
            return
        if self._beat is None or self._beat.capabilities is not view.capabilities:
            self._beat = Beat(view.uid, view.capabilities, self.prefix)
        self._entry, self.admitted = entry, admitted
        self.since, self.until = since, until
        self._number = view.sequence
        self.next_beat = self._beat.numbered(view.sequence + 1)

    def close_short_way(self) -> None:
        """Have the next message read, whatever it is."""
        self.until = _LONG_AGO

    def push(self, found: Push, until: datetime, kind: Kind | None = None) -> None:
        """Take what a wake-up led to.

        Args:
            found: that.
            until: aware UTC; where the short way is open, it is open until then.
            kind: of which kind the agent is now, if that is known.
        """
        self.pushed, self.plan, self.kind = found, found.plan, kind
        self.planned_at = self.since = found.quiet_from
        if self.until is not _LONG_AGO:
            self.until = until

    def take_beat(self, now: datetime) -> bool:
        """Take the heartbeat that follows on, if its agent counts as connected; return whether it does."""
        beat, entry = self._beat, self._entry
        if beat is None or entry is None or entry.live is not Liveness.CONNECTED:
            return False
        self._number = entry.sequence = number = self._number + 1
        self.next_beat = beat.numbered(number + 1)
        self._beaten = entry.beaten = now
        return True
