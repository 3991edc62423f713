"""Where connections come in: accepted here, looked at, and passed on to TLS.

Steps of a connection, each with a bound and a deadline:

Step 1  accepted, or closed at once where too many are here, all or from one address;
Step 2  silent: it has sent nothing yet, and costs a socket and no more. Whoever leaves now was never greeted;
        where too many are silent, the one that has been so for longest goes, but not within three seconds: a
        fleet that comes back at once is accepted faster than it can speak;
Step 3  TLS (`transport.handshakes`). Where too many wait for that, none is accepted: the kernel keeps them.

No line is logged for a connection: those that were not let through are counted, and told once a minute.
"""

import asyncio
import dataclasses
import logging
import socket
import ssl
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Final

from distribution.domain.buckets import Rate
from distribution.transport.arrivals import FRUITLESS, Arrivals, Ticket, origin_of
from distribution.transport.handshakes import Factory, Handshakes, hang_up

SILENT_SECONDS: Final = 10.0
"""From a connection to its first byte."""

SILENT_MAX: Final = 10_000
"""Silent connections at the same time: as many as come at once where a fleet's network is there again."""

SILENT_LEAST_SECONDS: Final = 3.0
"""How long a connection may be silent however many are: a first packet may be lost, and its host be slow.
Where too many are, none is accepted meanwhile."""

WAITING_MAX: Final = 32_768
"""Connections that may wait for a handshake; more stay with the kernel. Twice what one address usually may
hold: it alone does not keep others from being accepted."""

TELL_SECONDS: Final = 60.0
"""How often it is told how many were not let through."""

_BACKLOG: Final = 65_536  # as many as the system lets wait; whom it drops comes again after seconds
_SWEEP_SECONDS: Final = 1.0
_ACCEPT_AT_ONCE: Final = 64
_NO_ROOM_SECONDS: Final = 0.5
_HANDSHAKE: Final = b"\x16"  # RFC 8446 5.1: the content type of a record

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a gate lets in at the same time."""

    connections: int = 50_000
    per_address: int = 16_384
    handshakes: int = 100
    fruitless: Rate = FRUITLESS
    """Handshakes for nothing, of one address, before its next ones wait."""


USUAL: Final = Bounds()


@dataclass(slots=True)
class Counts:
    """Connections that were not let through, since the start."""

    no_room: int = 0
    per_address: int = 0
    silent: int = 0
    """They left, or were closed, before their first byte."""
    no_tls: int = 0
    handshake_failed: int = 0


class Gate:
    """One listener's gate. Belongs to the event loop."""

    def __init__(
        self, name: str, bound: socket.socket, tls: ssl.SSLContext | None, factory: Factory, bounds: Bounds
    ) -> None:
        """`bound` is a socket that does not listen yet; `factory` makes the protocol of a connection.

        Without `tls` it lets through whoever speaks; the product always brings one.
        """
        self._first = _HANDSHAKE if tls is not None else b""
        self._name = name
        self._listening = bound
        self._bounds = bounds
        self._loop = asyncio.get_running_loop()
        self.arrivals = Arrivals(self._loop.time, bounds.fruitless)
        self.handshakes = Handshakes(tls, factory, bounds.handshakes, self.arrivals, self._on_place)
        self._turns = self.handshakes.turns
        self._silent: OrderedDict[socket.socket, tuple[Ticket, float]] = OrderedDict()
        self._counts, self._told = Counts(), Counts()
        self._told_at = self._loop.time()
        self._open = self._accepting = False
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def counts(self) -> Counts:
        """How many were not let through."""
        return dataclasses.replace(self._counts, handshake_failed=self.handshakes.failed)

    @property
    def silent(self) -> int:
        """How many have sent nothing yet."""
        return len(self._silent)

    def open(self) -> None:
        """Begin to accept."""
        self._listening.setblocking(False)
        _set_for_all(self._listening)
        self._listening.listen(_BACKLOG)
        self._open = True
        self._resume()
        self._sweeping = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """Accept no more, and hang up on all that are not through yet. The second time nothing happens."""
        if not self._open:
            return
        self._pause()
        self._open = False
        self._listening.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for sock in list(self._silent):
            self._end_silence(sock)
        self.handshakes.close()

    def _resume(self) -> None:
        room = self.handshakes.waiting < WAITING_MAX and len(self._silent) <= SILENT_MAX
        if self._open and not self._accepting and room:
            self._accepting = True
            self._loop.add_reader(self._listening, self._accept)

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._listening)

    # Step 1

    def _accept(self) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                sock, address = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # it was gone before it was accepted
            except OSError as exc:  # no descriptor or no memory is left
                logger.warning(
                    "connections cannot be accepted", extra={"listener": self._name, "reason": exc.strerror}
                )
                self._pause()  # or the loop would be woken for it again and again
                self._loop.call_later(_NO_ROOM_SECONDS, self._resume)
                return
            self._arrive(sock, origin_of(address))
            if self.handshakes.waiting >= WAITING_MAX or not self._has_room_for_silence():
                self._pause()  # until half of them are through, or one of the silent has spoken
                return

    def _arrive(self, sock: socket.socket, origin: str) -> None:
        if self.arrivals.held >= self._bounds.connections:
            self._counts.no_room += 1
            sock.close()
        elif self.arrivals.held_by(origin) >= self._bounds.per_address:
            self._counts.per_address += 1
            sock.close()
        else:
            sock.setblocking(False)
            ticket = self.arrivals.enter(origin)
            if not self._look(sock, ticket):
                self._wait_for_byte(sock, ticket)

    # Step 2

    def _look(self, sock: socket.socket, ticket: Ticket) -> bool:
        """Look at what came first; return whether it is decided what becomes of the connection."""
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            first = b""
        if first and first.startswith(self._first):
            self.handshakes.take(sock, ticket)
            return True
        if first:
            self._counts.no_tls += 1
        else:
            self._counts.silent += 1
        hang_up(sock, ticket)
        return True

    def _wait_for_byte(self, sock: socket.socket, ticket: Ticket) -> None:
        self._silent[sock] = ticket, self._loop.time() + SILENT_SECONDS
        self._turns.on_readable(sock.fileno(), partial(self._on_byte, sock))

    def _has_room_for_silence(self) -> bool:
        """Whether no more are silent than may be; the one that was so for longest goes, if it is time."""
        if len(self._silent) > SILENT_MAX:
            sock, (_, until) = next(iter(self._silent.items()))
            if self._loop.time() < until - SILENT_SECONDS + SILENT_LEAST_SECONDS:
                return False
            self._end_silence(sock)
        return True

    def _on_byte(self, sock: socket.socket) -> None:
        self._turns.ignore_readable(sock.fileno())
        ticket, _ = self._silent.pop(sock)
        if not self._look(sock, ticket):  # woken for nothing
            self._wait_for_byte(sock, ticket)
        self._resume()

    def _end_silence(self, sock: socket.socket) -> None:
        self._turns.ignore_readable(sock.fileno())
        ticket, _ = self._silent.pop(sock)
        if not self._look(sock, ticket):  # it may have spoken, and not been looked at yet
            self._counts.silent += 1
            hang_up(sock, ticket)

    def _on_place(self) -> None:
        if self.handshakes.waiting <= WAITING_MAX // 2:
            self._resume()

    # Now and then.

    def _sweep(self) -> None:
        now = self._loop.time()
        while self._silent:
            sock, (_, until) = next(iter(self._silent.items()))
            if until > now:
                break
            self._end_silence(sock)
        if self._has_room_for_silence():
            self._resume()
        self.arrivals.forget()
        if now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            self._tell()
        self._sweeping = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _tell(self) -> None:
        before, now = dataclasses.asdict(self._told), dataclasses.asdict(self.counts)
        since = {name: count - before[name] for name, count in now.items() if count > before[name]}
        if since:
            logger.info("connections were not let through", extra={"listener": self._name, **since})
        self._told = self.counts


def _set_for_all(listening: socket.socket) -> None:
    """Set what each connection is to have: Linux hands it on to what is accepted.

    Small answers are not held back; the kernel finds peers that vanished, for an agent may be silent for long
    between two heartbeats.
    """
    if listening.family not in (socket.AF_INET, socket.AF_INET6):
        return
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
