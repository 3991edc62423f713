"""Who keeps the loop's thread in one call is cut off from outside."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from distribution.transport.runaway import NOBODY, Runaway

SECONDS = 10.0


@pytest.fixture
def runaway() -> Iterator[Runaway]:
    """Looks after this thread."""
    looking = Runaway()
    looking.start()
    yield looking
    looking.stop()


def busy_until(holds: Callable[[], object], seconds: float) -> bool:
    """Use the core until a condition holds, or so much of it is used; return whether it held."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        if holds():
            return True
    return False


def test_a_call_that_takes_too_long_finds_its_socket_ended(runaway: Runaway) -> None:
    """The peer is hung up on, and whoever reads the socket reads its end, under the same number."""
    here, there = socket.socketpair()
    with here, there:
        there.send(b"much that waits to be read")
        runaway.reading = here.fileno()
        assert busy_until(lambda: runaway.cut, SECONDS)
        runaway.reading = NOBODY
        assert here.recv(100) == b""
        with pytest.raises(BrokenPipeError):
            there.send(b"x")


@pytest.mark.parametrize("how", ["nothing is read", "it is read again and again", "it waits"])
def test_nobody_else_is_cut_off(runaway: Runaway, how: str) -> None:
    """Not who is read in many short calls, nor in one that uses no core, nor while something else is done."""
    here, there = socket.socketpair()
    with here, there:

        def next_call() -> None:
            if how == "it is read again and again":
                runaway.looks += 1
                runaway.reading = here.fileno()

        if how == "it waits":
            runaway.reading = here.fileno()
            threading.Event().wait(0.3)
        else:
            busy_until(next_call, 0.3)
        runaway.reading = NOBODY
        there.send(b"x")
        assert (here.recv(1), runaway.cut) == (b"x", 0)


def test_a_socket_that_is_closed_under_the_lock_is_never_anothers(runaway: Runaway) -> None:
    """While a number may be replaced it stays whose it is."""
    here, there = socket.socketpair()
    with there:
        runaway.reading = here.fileno()
        with runaway.lock:
            assert not busy_until(lambda: runaway.cut, 0.1)
            runaway.reading = NOBODY
            here.close()
        one, other = socket.socketpair()
        with one, other:
            assert not busy_until(lambda: runaway.cut, 0.1)
            one.send(b"x")
            assert other.recv(1) == b"x"


def test_it_ends_with_the_thread_that_it_looks_after() -> None:
    """A loop that is gone is looked after no more."""
    looking = Runaway()

    before = set(threading.enumerate())
    short = threading.Thread(target=looking.start)
    short.start()
    short.join()
    until = time.monotonic() + SECONDS
    while set(threading.enumerate()) - before and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert set(threading.enumerate()) <= before
    assert looking.cut == 0
