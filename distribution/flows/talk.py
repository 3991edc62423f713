"""One conversation, as the event loop holds it: who speaks, how far it came, what the agent is to have."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from distribution.domain.agent import Plan
from distribution.flows.enrol import Caller
from distribution.flows.identify import Name
from distribution.protocol.session import Session

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class Talk:
    """One connection's conversation; over plain HTTP, one agent's. Belongs to the event loop."""

    __slots__ = ("caller", "name", "plan", "planned_at", "session")

    def __init__(self, caller: Caller, session: Session | None) -> None:
        self.caller = caller
        self.session = session
        """None until a peer without a certificate has said who it is."""
        self.name = None if caller.serial is not None else Name()
        self.plan: Plan | None = None
        """None: to be decided with the next message."""
        self.planned_at = _LONG_AGO

    @property
    def uid(self) -> UUID | None:
        """The uid that the peer is answered under; None until it said who it is."""
        if self.name is not None and self.name.alias is not None:
            return self.name.alias
        return None if self.session is None else self.session.view.uid
