"""What many connections bring at once, done a little at a time."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import uvloop

from distribution.transport.turns import SLICE_SECONDS, Turns

SECONDS = 10.0
MANY = 1000
"""More than one look brings, and, each at the cost of `DEAR`, far more than one turn takes."""

DEAR = SLICE_SECONDS / 10


class Watch:
    """A clock that work moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


Story = Callable[[Turns, Watch], Coroutine[Any, Any, None]]


def told(story: Story) -> list[dict[str, Any]]:
    """Tell a story on a loop; return what faults the loop was told of."""
    faults: list[dict[str, Any]] = []

    async def tale() -> None:
        loop, watch = asyncio.get_running_loop(), Watch()
        loop.set_exception_handler(lambda _loop, fault: faults.append(fault))
        async with asyncio.timeout(SECONDS):
            await story(Turns(loop, watch), watch)

    uvloop.run(tale())
    return faults


@pytest.fixture
def pairs() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    """Makes pairs of sockets that do not block."""
    with ExitStack() as open_:

        def pair() -> tuple[socket.socket, socket.socket]:
            ends = socket.socketpair()
            for end in ends:
                end.setblocking(False)
                open_.callback(end.close)
            return ends

        yield pair


async def turn() -> None:
    """Let the loop go round once."""
    await asyncio.sleep(0)


def test_dear_work_is_spread_over_turns() -> None:
    """In its order, so much in a turn as fits in, and whoever else has something to do comes between."""

    async def story(turns: Turns, watch: Watch) -> None:
        done: list[int] = []
        most = 0

        def work(number: int) -> None:
            done.append(number)
            watch.now += DEAR

        for number in range(MANY):
            turns.later(lambda number=number: work(number))  # type: ignore[misc]
        assert done == []
        while len(done) < MANY:
            before = len(done)
            await turn()
            most = max(most, len(done) - before)
        assert done == list(range(MANY))
        assert most <= SLICE_SECONDS / DEAR + 1

    assert told(story) == []


def test_work_may_bring_work() -> None:
    """It stands behind what waits already."""

    async def story(turns: Turns, watch: Watch) -> None:
        done: list[str] = []

        def first() -> None:
            done.append("first")
            turns.later(lambda: done.append("third"))

        turns.later(first)
        turns.later(lambda: done.append("second"))
        while len(done) < 3:
            await turn()
        assert done == ["first", "second", "third"]

    assert told(story) == []


def test_sockets_that_are_ready_at_once_are_served_in_turns(
    pairs: Callable[[], tuple[socket.socket, socket.socket]],
) -> None:
    """A hundred that all have said something: a part of them each turn, and none twice before all were."""

    async def story(turns: Turns, watch: Watch) -> None:
        heard: list[int] = []
        most = 0

        def hear(number: int, end: socket.socket) -> None:
            end.recv(1)
            heard.append(number)
            watch.now += DEAR

        ends = [pairs() for _ in range(100)]
        for number, (here, there) in enumerate(ends):
            turns.on_readable(here.fileno(), lambda number=number, here=here: hear(number, here))  # type: ignore[misc]
            there.send(b"ab")
        while len(heard) < 200:
            before = len(heard)
            await turn()
            most = max(most, len(heard) - before)
        assert sorted(heard[:100]) == sorted(heard[100:]) == list(range(100))
        assert most <= SLICE_SECONDS / DEAR + 1
        for here, _ in ends:
            turns.ignore_readable(here.fileno())

    assert told(story) == []


def test_reading_and_writing_are_told_apart(
    pairs: Callable[[], tuple[socket.socket, socket.socket]],
) -> None:
    """Each is called for its own, and no more once it is ignored; to ignore twice is no error."""

    async def story(turns: Turns, _watch: Watch) -> None:
        here, there = pairs()
        number, notes = here.fileno(), []  # type: tuple[int, list[str]]
        turns.on_readable(number, lambda: notes.append("read"))
        await turn()
        await turn()
        assert notes == []
        turns.on_writable(number, lambda: notes.append("write"))
        while not notes:
            await turn()
        assert set(notes) == {"write"}
        turns.ignore_writable(number)
        turns.ignore_writable(number)
        notes.clear()
        there.send(b"x")
        while not notes:
            await turn()
        assert set(notes) == {"read"}
        turns.on_writable(number, lambda: notes.append("write"))
        turns.ignore_readable(number)
        notes.clear()
        while not notes:
            await turn()
        assert set(notes) == {"write"}
        turns.ignore_writable(number)
        notes.clear()
        await turn()
        await turn()
        assert notes == []

    assert told(story) == []


def test_nobody_is_called_who_was_ignored_meanwhile(
    pairs: Callable[[], tuple[socket.socket, socket.socket]],
) -> None:
    """Both were seen to be ready; the first one's call closes the second, whose number is another's then."""

    async def story(turns: Turns, _watch: Watch) -> None:
        (one, far), (two, distant) = pairs(), pairs()
        heard: list[str] = []
        others: list[socket.socket] = []

        def hear(name: str, own: socket.socket, other: socket.socket) -> None:
            own.recv(1)
            heard.append(name)
            turns.ignore_readable(other.fileno())
            other.close()
            others.extend(pairs())

        turns.on_readable(one.fileno(), lambda: hear("one", one, two))
        turns.on_readable(two.fileno(), lambda: hear("two", two, one))
        far.send(b"x")
        distant.send(b"x")
        while not heard:
            await turn()
        await turn()
        assert len(heard) == 1
        assert (one.fileno() == -1) != (two.fileno() == -1)
        left = one if one.fileno() != -1 else two
        turns.ignore_readable(left.fileno())

    assert told(story) == []


def test_a_fault_takes_nobody_along(pairs: Callable[[], tuple[socket.socket, socket.socket]]) -> None:
    """A socket's call that fails, and a piece of work: the loop is told, and the next ones are served."""

    async def story(turns: Turns, _watch: Watch) -> None:
        (one, far), (two, distant) = pairs(), pairs()
        done: list[str] = []

        def broken() -> None:
            turns.ignore_readable(one.fileno())
            raise LookupError("broken")

        turns.on_readable(one.fileno(), broken)
        turns.on_readable(two.fileno(), lambda: done.append("socket"))
        far.send(b"x")
        distant.send(b"x")
        turns.later(broken)
        turns.later(lambda: done.append("work"))
        while set(done) != {"socket", "work"}:
            await turn()
        turns.ignore_readable(two.fileno())

    assert [str(fault["exception"]) for fault in told(story)] == ["broken"] * 2


def test_who_is_gone_is_heard_of_by_either() -> None:
    """A connection that is reset is told to whoever waits to read, or to write."""

    async def story(turns: Turns, _watch: Watch) -> None:
        for watch, ignore in (
            (turns.on_readable, turns.ignore_readable),
            (turns.on_writable, turns.ignore_writable),
        ):
            here, there = socket.socketpair()
            here.setblocking(False)
            heard: list[bool] = []
            with here:
                there.close()
                watch(here.fileno(), lambda heard=heard: heard.append(True))  # type: ignore[misc]
                while not heard:
                    await turn()
                ignore(here.fileno())

    assert told(story) == []
