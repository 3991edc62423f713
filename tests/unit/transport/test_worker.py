"""Effects in a thread, outcomes on the loop."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from distribution.errors import BusyError
from distribution.flows.enrol import Caller
from distribution.flows.orders import Order, Outcome, Refused
from distribution.transport import worker as module
from distribution.transport.worker import Worker


def an_order(why: str) -> Order:
    return Order(Caller(), None, Refused(why))


class Slow:
    """Performs when it is let; notes its batches. The outcome of an order is an error that quotes it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, orders: Sequence[Order]) -> list[Outcome]:
        self.begun.set()
        self.go.wait(10)
        said = [order.effect.why for order in orders if isinstance(order.effect, Refused)]
        self.batches.append(said)
        return [KeyError(why) for why in said]


def test_what_waits_is_taken_together_and_told_in_order() -> None:
    """While one batch is carried out the next one gathers; outcomes come back on the loop."""
    slow, told, threads = Slow(), [], []

    async def main() -> None:
        worker, done = Worker(slow), asyncio.Event()
        worker.start(asyncio.get_running_loop())

        def then(outcome: Outcome) -> None:
            told.append(str(outcome))
            threads.append(threading.current_thread())
            if len(told) == 3:
                done.set()

        worker.submit(an_order("a"), then)
        await asyncio.to_thread(slow.begun.wait, 10)
        worker.submit(an_order("b"), then)
        worker.submit(an_order("silent"))
        worker.submit(an_order("c"), then)
        slow.go.set()
        await asyncio.wait_for(done.wait(), 10)
        await asyncio.to_thread(worker.stop)

    asyncio.run(main())
    assert slow.batches == [["a"], ["b", "silent", "c"]]
    assert told == ["'a'", "'b'", "'c'"]
    assert set(threads) == {threading.main_thread()}


def test_batches_have_a_size() -> None:
    """A long queue is taken in pieces."""
    slow = Slow()
    slow.go.set()

    async def main() -> None:
        worker = Worker(slow, together=2)
        for why in "abcde":
            worker.submit(an_order(why))
        worker.start(asyncio.get_running_loop())
        await asyncio.to_thread(worker.stop)

    asyncio.run(main())
    assert slow.batches == [["a", "b"], ["c", "d"], ["e"]]


def test_full_queue_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than may wait is refused at once, with the number."""
    monkeypatch.setattr(module, "WAITING_MAX", 1)
    worker = Worker(Slow())
    worker.submit(an_order("a"))
    with pytest.raises(BusyError, match="1 orders wait"):
        worker.submit(an_order("b"))


def test_stop_carries_out_what_waits_and_may_come_twice() -> None:
    """Nothing that was taken is dropped at the end."""
    slow = Slow()
    slow.go.set()

    async def main() -> None:
        worker = Worker(slow)
        worker.stop()
        worker.start(asyncio.get_running_loop())
        worker.submit(an_order("last"))
        await asyncio.to_thread(worker.stop)
        await asyncio.to_thread(worker.stop)

    asyncio.run(main())
    assert slow.batches == [["last"]]


def test_trouble_reaches_whoever_asked(caplog: pytest.LogCaptureFixture) -> None:
    """An error of the whole batch is everybody's outcome; one who cannot take it harms no other."""
    told: list[Outcome] = []

    def broken(_orders: Sequence[Order]) -> list[Outcome]:
        raise OSError("disk")

    async def main() -> None:
        worker, done = Worker(broken), asyncio.Event()
        worker.start(asyncio.get_running_loop())

        def deaf(_outcome: Outcome) -> None:
            raise ValueError("cannot take it")

        def then(outcome: Outcome) -> None:
            told.append(outcome)
            done.set()

        worker.submit(an_order("a"), deaf)
        worker.submit(an_order("b"), then)
        await asyncio.wait_for(done.wait(), 10)
        await asyncio.to_thread(worker.stop)

    asyncio.run(main())
    assert [type(outcome) for outcome in told] == [OSError]
    assert "orders could not be carried out" in caplog.text
    assert "outcome could not be delivered" in caplog.text


def test_loop_that_closed_waits_for_nothing() -> None:
    """What is finished after the end of the loop is done all the same."""
    slow = Slow()
    worker = Worker(slow)

    async def main() -> None:
        worker.start(asyncio.get_running_loop())
        worker.submit(an_order("late"), lambda _outcome: None)
        await asyncio.to_thread(slow.begun.wait, 10)

    asyncio.run(main())
    slow.go.set()
    worker.stop()
    assert slow.batches == [["late"]]
