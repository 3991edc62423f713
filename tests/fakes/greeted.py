"""The handshake of one connection, awaited."""

import asyncio
import socket
import ssl

from distribution.transport.greeting import Greeting, Outcome
from distribution.transport.turns import Turns


async def shake_hands(
    sock: socket.socket, context: ssl.SSLContext, seconds: float, turns: Turns
) -> ssl.SSLSocket:
    """Return the socket with TLS on it, as a server. Raises what the handshake failed with."""
    over: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    greeting = Greeting(sock, context, turns, lambda _, outcome: over.set_result(outcome))
    greeting.begin(seconds)
    try:
        outcome = await over
    except asyncio.CancelledError:
        greeting.give_up()
        raise
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
