"""`quartermaster` whose agents' sockets answer with constant bytes, and are offered constant bytes.

For measuring only: what is left then is the shell that we stand on. That is uvloop, Python itself, its `ssl`
over OpenSSL, and the kernel; and of ours the transport that brings `ssl` to the loop (`transport.sealed`),
because the loop's own does the same at more cost.

A message: the first one of a connection is taken as ever, so that there is an answer to repeat.

An offer: at `OFFER` one frame, rendered before and the same for everybody, is written to one connection after
the other. Taken out are the operator's request and its transaction, plans and kinds, what is remembered of an
offer, the agent's own uid in its frame, the frames' wait for the end of a turn, and the log. Left in are the
loop's turns, as many as the hub makes, and for each connection one write of its transport.
"""

import asyncio
import signal
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from benchmarks.work import an_offer
from distribution.cli.main import main
from distribution.protocol.offers import Reply, for_websocket
from distribution.transport.frames import binary_frame
from distribution.transport.hub import Hub
from distribution.transport.websocket import AgentSocket

OFFER: Final = signal.SIGUSR1
SLICE: Final = 50
"""Connections a turn; the hub's."""

_taken = AgentSocket.buffer_updated
_started = Hub.start
_frames: list[bytes] = []
"""The offer, once it is rendered."""


def _answered(self: AgentSocket, nbytes: int) -> None:
    if self._bare:
        self._desk.outbox.later(self._transport, self._bare)
    else:
        _taken(self, nbytes)


def _listening(self: Hub, loop: asyncio.AbstractEventLoop) -> None:
    _started(self, loop)
    loop.add_signal_handler(OFFER, _offer_to_all, self, loop)


def _offer_to_all(self: Hub, loop: asyncio.AbstractEventLoop) -> None:
    sockets = [link for link in self._links if isinstance(link, AgentSocket)]
    if sockets and not _frames:
        _frames.append(_rendered(sockets[0]))
    _in_slices(loop, iter([_transport_of(socket) for socket in sockets]))


def _in_slices(loop: asyncio.AbstractEventLoop, transports: Iterator[asyncio.Transport]) -> None:
    taken = list(islice(transports, SLICE))
    for transport in taken:
        transport.write(_frames[0])
    if len(taken) == SLICE:
        loop.call_soon(_in_slices, loop, transports)


def _transport_of(self: AgentSocket) -> asyncio.Transport:
    return self._transport


def _rendered(self: AgentSocket) -> bytes:
    """Return an offer of one package as the product says it, to whomever."""
    offer = an_offer()
    one = replace(offer, packages=offer.packages[:1])
    uid = None if self.agent is None else self.agent.uuid
    return binary_frame(for_websocket(Reply(uid, offer=one), self._desk.terms))


if __name__ == "__main__":
    AgentSocket.buffer_updated = _answered  # type: ignore[method-assign] # what is measured is all the rest
    Hub.start = _listening  # type: ignore[method-assign] # as above
    main()
