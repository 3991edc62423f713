"""One agent's conversation over plain HTTP, which outlives its requests."""

import asyncio
from collections.abc import Callable
from typing import Final

from distribution.flows.talk import Talk
from distribution.transport.desk import Desk
from keys.certificate import CredentialId
from keys.identity import AgentId

SILENCE_SECONDS: Final = 300.0
"""After how long without a poll a conversation ends, at least; later if its agent is due more seldom."""


class Poller:
    """One agent that polls. A link of the hub without a socket: its requests' sockets are links too."""

    talks = True

    def __init__(self, desk: Desk, talk: Talk, agent: AgentId, forget: Callable[[AgentId], object]) -> None:
        """`forget` is called when the conversation ends by itself."""
        self._desk = desk
        self._forget = forget
        self.talk = talk
        self.agent: AgentId | None = agent
        self.credential: CredentialId | None = talk.caller.credential
        self.via: CredentialId | None = talk.caller.serial if talk.caller.passage is not None else None
        self.heard_at = asyncio.get_running_loop().time()
        talk.prefix = b""

    def take_beat(self, body: bytes) -> bool:
        """Take the body of a poll if it is the heartbeat that follows on; return whether it is."""
        log = self._desk.log
        if log.each or log.watched or not self._desk.exchange.beat(self.talk, body):
            return False
        log.beaten()
        self.heard_at = asyncio.get_running_loop().time()
        return True

    def cut(self, reason: str) -> int:
        """Forget the conversation."""
        del reason
        self.end()
        return 0

    def wake(self) -> None:
        """The next poll is planned anew, with the labels of then."""
        self._desk.exchange.forget_plan(self.talk)

    def check(self) -> None:
        """End a conversation that fell silent."""
        silence = asyncio.get_running_loop().time() - self.heard_at
        if silence > SILENCE_SECONDS and self._desk.exchange.is_overdue(self.talk, silence):
            self.end()

    def end(self) -> None:
        """Leave the hub; the agent is disconnected unless it talks otherwise."""
        self._desk.hub.leave(self)
        self.talk.close_short_way()
        if self.agent is None:
            return
        self._forget(self.agent)
        if self._desk.hub.is_connected(self.agent):
            self._desk.exchange.stay(self.talk)
        else:
            self._desk.exchange.leave(self.talk)
