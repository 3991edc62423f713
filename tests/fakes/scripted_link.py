"""A link without a network: what the server says is scripted, what the agent says is kept."""

import asyncio
from collections.abc import Callable

from opamp.v1 import opamp_pb2

Answer = Callable[[opamp_pb2.AgentToServer], list[opamp_pb2.ServerToAgent]]


class ScriptedLink:
    """`answer` decides what each message is answered with; `say` pushes; `break_off` ends it."""

    def __init__(self, answer: Answer = lambda _: []) -> None:
        self.said: list[opamp_pb2.AgentToServer] = []
        self.closed = False
        self._answer = answer
        self._coming: asyncio.Queue[opamp_pb2.ServerToAgent | Exception] = asyncio.Queue()

    def say(self, message: opamp_pb2.ServerToAgent) -> None:
        """Push a message of the server."""
        self._coming.put_nowait(message)

    def break_off(self, error: Exception) -> None:
        """Let the next receive fail."""
        self._coming.put_nowait(error)

    async def send(self, message: opamp_pb2.AgentToServer) -> None:
        self.said.append(message)
        for reply in self._answer(message):
            self.say(reply)

    async def receive(self) -> opamp_pb2.ServerToAgent:
        coming = await self._coming.get()
        if isinstance(coming, Exception):
            raise coming
        return coming

    async def close(self) -> None:
        self.closed = True
