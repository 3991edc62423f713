"""A socket that was cut off in the moment in which its call ended: whoever watches it sees its end."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import uvloop

from distribution.transport.runaway import NOBODY
from distribution.transport.turns import REST_SECONDS, Turns

SECONDS = 10.0


def held(turns: Turns, here: socket.socket) -> None:
    """Hold the thread in one call that reads this socket until it is cut off."""
    turns.runaway.reading = here.fileno()
    until, before = time.thread_time() + SECONDS, turns.runaway.cut
    while turns.runaway.cut == before and time.thread_time() < until:
        pass
    turns.runaway.reading = NOBODY


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)


def test_whoever_reads_hears_the_end() -> None:
    """The kernel has forgotten whom to tell of a socket that was replaced, so we tell."""

    async def tale() -> None:
        turns = Turns(asyncio.get_running_loop(), time.perf_counter)
        here, there = socket.socketpair()
        here.setblocking(False)
        with here, there:
            heard: list[bytes] = []
            turns.on_readable(here.fileno(), lambda: heard.append(here.recv(1)))
            held(turns, here)
            assert turns.runaway.cut == 1
            await until(lambda: heard)
            assert heard == [b""]
            turns.ignore_readable(here.fileno())

    uvloop.run(tale())


def test_whoever_is_to_write_may_still_be_watched_and_ignored() -> None:
    """To watch for more, or for nothing, is no fault where the kernel knows nothing of it any more."""

    async def tale() -> None:
        turns = Turns(asyncio.get_running_loop(), time.perf_counter)
        here, there = socket.socketpair()
        here.setblocking(False)
        with here, there:
            heard: list[str] = []
            turns.on_readable(here.fileno(), lambda: heard.append("read"))
            held(turns, here)
            turns.on_writable(here.fileno(), lambda: heard.append("write"))
            await until(lambda: "write" in heard)
            turns.ignore_writable(here.fileno())
            turns.ignore_readable(here.fileno())

    uvloop.run(tale())


def test_who_looks_after_them_rests_when_nobody_is_there() -> None:
    """Not at once, for most often the next one comes; and it begins anew with that."""

    def looking() -> int:
        return sum(thread.name == "runaways" for thread in threading.enumerate())

    async def tale() -> None:
        turns = Turns(asyncio.get_running_loop(), time.perf_counter)
        here, there = socket.socketpair()
        with here, there:
            for _ in range(2):
                turns.on_readable(here.fileno(), lambda: None)
                turns.ignore_readable(here.fileno())
                turns.on_readable(here.fileno(), lambda: None)
                assert looking() - before == 1
                turns.ignore_readable(here.fileno())
                began = time.monotonic()
                await until(lambda: looking() == before)
                assert time.monotonic() - began > REST_SECONDS / 2

    before = looking()
    uvloop.run(tale())
