"""An agent that says and hears messages over either transport of a real listener: one way to write both."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opamp.v1 import opamp_pb2

from keys.identity import AgentId
from tests.fakes.listening import Identity, Listening
from tests.fakes.wire_client import answer, description, heard, http_client, post, said, tell, websocket

EVERYTHING = 0xFFFF
TRANSPORTS = ("ws", "http")


@dataclass
class Speaker:
    """One connected agent; each message it says is answered before the next."""

    agent: AgentId
    exchange: Callable[[opamp_pb2.AgentToServer], opamp_pb2.ServerToAgent]
    number: int = -1
    capabilities: int = EVERYTHING
    hears: Callable[[], opamp_pb2.ServerToAgent] = opamp_pb2.ServerToAgent
    """Returns the next message that is pushed; over HTTP nothing is."""

    def says(self, **parts: object) -> opamp_pb2.ServerToAgent:
        """Say the next message and return the answer."""
        self.number += 1
        return self.exchange(self.message(self.number, **parts))

    def message(self, number: int, **parts: object) -> opamp_pb2.AgentToServer:
        """Return a message of this number."""
        message = said(self.agent, number, **parts)
        message.capabilities = self.capabilities
        return message


@contextmanager
def speaking(
    at: Listening, transport: str, identity: Identity | None = None, *, introduce: bool = True
) -> Iterator[Speaker]:
    """Connect an agent over `ws` or `http`; by default it has said what it is, and was greeted."""
    who = identity or at.enrolled()
    if transport == "ws":
        with websocket(at, who) as connection:
            speaker = Speaker(who.agent, lambda message: tell(connection, message))
            speaker.hears = lambda: heard(connection)
            yield _begun(speaker, introduce=introduce)
    else:
        with http_client(at, who) as pool:
            yield _begun(Speaker(who.agent, lambda message: answer(post(pool, message))), introduce=introduce)


def _begun(speaker: Speaker, *, introduce: bool) -> Speaker:
    if introduce:
        speaker.says(agent_description=description())
    return speaker
