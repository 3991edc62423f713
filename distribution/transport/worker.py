"""The one place where the event loop hands effects to a thread, and where their outcomes come back.

Rules: one thread for what is signed or journalled, because two are slower than one, and one for what agents
report at length, so that no certificate waits for that (`transport.desk`); what waits is taken as a batch, so
that journal entries of many agents share a transaction; outcomes are delivered on the loop, in order. A queue
that is full, of orders or of what agents reported, refuses at once (BusyError) rather than growing.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from distribution.errors import BusyError
from distribution.flows.orders import Order, Outcome
from distribution.protocol.effects import Examine, KeepComponents
from keys.identity import AgentId

BATCH_MAX: Final = 256
"""Orders that are carried out together."""

WAITING_MAX: Final = 10_000
"""Orders that may wait."""

WAITING_MAX_BYTES: Final = 256 << 20
"""Of what agents reported, in all orders that wait or are carried out now."""

ONE_MAX_BYTES: Final = 16 << 20
"""Of what one agent reported: who reports faster than it can be looked at takes nobody's place."""

Perform = Callable[[Sequence[Order]], list[Outcome]]
Then = Callable[[Outcome], None]

_Waiting = tuple[Order, Then | None, float]
"""An order, who waits for it, and since when (seconds of the monotonic clock)."""

logger = logging.getLogger(__name__)


class Worker:
    """Carries out orders in a thread of its own."""

    def __init__(self, perform: Perform, together: int = BATCH_MAX) -> None:
        """`perform` runs in the thread and MUST return an outcome for each order, of at most `together`."""
        self._perform = perform
        self._together = together
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(WAITING_MAX)
        self._oldest: float | None = None
        self._lock = threading.Lock()
        self._reported: dict[AgentId | None, int] = {}
        """Bytes by agent, of those that reported something which is not done with."""
        self._total = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to work; outcomes are delivered on `loop`."""
        self._loop = loop
        self._thread = threading.Thread(target=self._work, name="effects", daemon=True)
        self._thread.start()

    def stop(self, *, drop: bool = False) -> None:
        """Carry out what waits, or `drop` it, then end. Blocks until then."""
        while drop and not self._waiting.empty():
            with contextlib.suppress(queue.Empty):
                self._waiting.get_nowait()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, order: Order, then: Then | None = None) -> None:
        """Have an order carried out; `then` gets its outcome on the loop.

        Raises:
            BusyError: too many wait already, or too much; the order was not taken.
        """
        self._count(order, _size(order))
        try:
            self._waiting.put_nowait((order, then, time.monotonic()))
        except queue.Full:
            self._count(order, -_size(order))
            raise BusyError(f"{WAITING_MAX} orders wait, no more are taken") from None

    def oldest(self) -> float:
        """Return for how many seconds the order that was taken first has been waiting, or been worked on."""
        since = self._oldest
        return 0.0 if since is None else time.monotonic() - since

    def _work(self) -> None:
        ended = False
        while not ended:
            ended = self._work_once()

    def _work_once(self) -> bool:
        """Carry out one batch; return whether it was the last. What it was for is let go of at its end."""
        batch, ended = self._next_batch()
        outcomes = self._outcomes([order for order, _, _ in batch]) if batch else []
        self._oldest = None
        for order, _, _ in batch:
            self._count(order, -_size(order))
        told = [(then, outcome) for (_, then, _), outcome in zip(batch, outcomes, strict=True) if then]
        if told and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(_tell, told)
            except RuntimeError:
                logger.debug("loop is closed, nobody waits for outcomes")
        return ended

    def _count(self, order: Order, size: int) -> None:
        """Count what was reported, in or out. Raises BusyError: it would be too much."""
        if size == 0:
            return
        with self._lock:
            own, total = self._reported.get(order.agent, 0), self._total
            if own + size > ONE_MAX_BYTES or total + size > WAITING_MAX_BYTES:
                raise BusyError(
                    f"{own} bytes of agent {order.agent} wait and {total} in all, "
                    f"at most {ONE_MAX_BYTES} and {WAITING_MAX_BYTES} are taken"
                )
            self._reported[order.agent], self._total = own + size, total + size
            if own + size == 0:
                del self._reported[order.agent]

    def _next_batch(self) -> tuple[list[_Waiting], bool]:
        batch: list[_Waiting] = []
        item = self._waiting.get()
        self._oldest = None if item is None else item[2]
        while item is not None:
            batch.append(item)
            if len(batch) >= self._together:
                return batch, False
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _outcomes(self, orders: list[Order]) -> list[Outcome]:
        try:
            return self._perform(orders)
        except Exception as exc:
            logger.exception("orders could not be carried out")
            return [exc] * len(orders)


def _size(order: Order) -> int:
    """Return how many bytes of a report an order holds on to."""
    match order.effect:
        case Examine(effective):
            return sum(len(one.body) for one in effective.values())
        case KeepComponents(components):
            return len(components.listed or "")
    return 0


def _tell(told: list[tuple[Then, Outcome]]) -> None:
    for then, outcome in told:
        try:
            then(outcome)
        except Exception:
            logger.exception("outcome could not be delivered")
