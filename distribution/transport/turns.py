"""What many connections bring at once, done a little at a time: whoever else is to be answered comes between.

The loop would take all that is ready in one turn: ten thousand agents that come back, leave or report at
the same moment (a network is back, a load balancer dies) would hold it for a second. Here their sockets are
watched by an epoll of our own, which the loop watches in turn, and a turn takes so much of it as fits into
`SLICE_SECONDS`. What is dear and can wait (a handshake's step, the end of a connection) stands in a line
that has as much time again.

Rules: whoever is ready is served in the order in which he became so; a call that fails is told to the loop
and takes nobody along; after `ignore_*` nothing is called any more, not even if it was seen to be ready.
"""

import asyncio
import contextlib
import select
from collections import deque
from collections.abc import Callable
from typing import Final

from distribution.transport.runaway import Runaway

SLICE_SECONDS: Final = 0.005
"""How long a turn of the loop is busy with sockets that are ready, and how long with what stands in line.
What was begun takes it beyond: the last socket, the last piece of work."""

REST_SECONDS: Final = 1.0
"""How long nobody is watched before nobody is looked after either."""

_AT_ONE_LOOK: Final = 64
_READABLE: Final = select.EPOLLIN
_WRITABLE: Final = select.EPOLLOUT

Act = Callable[[], object]


class Turns:
    """The sockets and the work of one listener. Belongs to the event loop."""

    __slots__ = (
        "_epoll", "_left", "_loop", "_readers", "_resting", "_time", "_waiting", "_writers", "runaway",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, time: Callable[[], float]) -> None:
        """`time` in seconds; it MUST be finer than the loop's, which stands still within a turn."""
        self._loop = loop
        self._time = time
        self._epoll = select.epoll()
        self.runaway = Runaway(self._tell_cut)
        """Looks after those who read what is ready."""
        self._resting: asyncio.TimerHandle | None = None
        self._left: list[tuple[int, int]] = []
        """Who was seen to be ready, and had no time left in that turn."""
        self._readers: dict[int, Act] = {}
        self._writers: dict[int, Act] = {}
        self._waiting: deque[Act] = deque()

    def later(self, act: Act) -> None:
        """Do this in a turn to come, after what waits already."""
        if not self._waiting:
            self._loop.call_soon(self._work)
        self._waiting.append(act)

    def on_readable(self, number: int, act: Act) -> None:
        """Call this whenever there is something to read, or the end, on the socket of this number.

        It may be called for nothing. The socket MUST NOT be closed before it is ignored.
        """
        self._watch(number, self._readers, act)

    def on_writable(self, number: int, act: Act) -> None:
        """Call this whenever the socket of this number takes something."""
        self._watch(number, self._writers, act)

    def ignore_readable(self, number: int) -> None:
        """Undo `on_readable`; it is no error if there is nothing to undo."""
        self._ignore(number, self._readers)

    def ignore_writable(self, number: int) -> None:
        """Undo `on_writable`; it is no error if there is nothing to undo."""
        self._ignore(number, self._writers)

    def _watch(self, number: int, acts: dict[int, Act], act: Act) -> None:
        if not self._readers and not self._writers:
            self._loop.add_reader(self._epoll.fileno(), self._look)
            self.runaway.start()
        before = self._wanted(number)
        acts[number] = act
        if before:
            try:
                self._epoll.modify(number, self._wanted(number))
            except FileNotFoundError:  # it was cut off: the number is that of a socket that has ended
                self._epoll.register(number, self._wanted(number))
        else:
            self._epoll.register(number, self._wanted(number))

    def _ignore(self, number: int, acts: dict[int, Act]) -> None:
        if acts.pop(number, None) is None:
            return
        wanted = self._wanted(number)
        with contextlib.suppress(FileNotFoundError):  # the kernel has forgotten it: it was cut off
            if wanted:
                self._epoll.modify(number, wanted)
            else:  # who is watched for nothing would still be told to be gone, each turn
                self._epoll.unregister(number)
        if not self._readers and not self._writers:
            self._loop.remove_reader(self._epoll.fileno())
            if self._resting is None:  # most often the next one comes at once
                self._resting = self._loop.call_later(REST_SECONDS, self._rest)

    def _rest(self) -> None:
        self._resting = None
        if not self._readers and not self._writers:
            self.runaway.stop()

    def _tell_cut(self, number: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._hear_cut, number)

    def _hear_cut(self, number: int) -> None:
        """Have who watches a socket that was replaced see its end: the kernel has forgotten who that was."""
        act = self._readers.get(number) or self._writers.get(number)
        if act is not None:
            self._do(act)

    def _wanted(self, number: int) -> int:
        return (number in self._readers and _READABLE) | (number in self._writers and _WRITABLE)

    def _look(self) -> None:
        readers, writers, time = self._readers, self._writers, self._time
        until = time() + SLICE_SECONDS
        while True:
            left = self._left
            seen, self._left = left or self._epoll.poll(0, _AT_ONE_LOOK), []
            for place, (number, how) in enumerate(seen, 1):
                self.runaway.looks += 1
                if how != _WRITABLE and (act := readers.get(number)) is not None:
                    try:
                        act()
                    except Exception as exc:  # noqa: BLE001 - as in `_do`, which costs with each heartbeat
                        self._fail(exc)
                if how != _READABLE and (act := writers.get(number)) is not None:
                    self._do(act)
                if time() >= until:
                    self._left = seen[place:]
                    return
            if len(seen) < _AT_ONE_LOOK and not left:
                return

    def _work(self) -> None:
        waiting, time = self._waiting, self._time
        until = time() + SLICE_SECONDS
        while True:
            self._do(waiting[0])
            del waiting[0]  # only now, so that what it adds is not begun twice
            if not waiting:
                return
            if time() >= until:
                self._loop.call_soon(self._work)
                return

    def _do(self, act: Act) -> None:
        try:
            act()
        except Exception as exc:  # noqa: BLE001 - a seam: one connection's fault must not take others along
            self._fail(exc)

    def _fail(self, exc: Exception) -> None:
        self._loop.call_exception_handler({"message": "connection failed", "exception": exc})
