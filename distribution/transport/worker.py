"""The one place where the event loop hands effects to a thread, and where their outcomes come back.

Rules: one thread, because two that sign or write are slower than one; what waits is taken as a batch, so that
journal entries of many agents share a transaction; outcomes are delivered on the loop, in order. A full queue
refuses at once (BusyError) rather than growing.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final

from distribution.errors import BusyError
from distribution.flows.exchange import Order, Outcome

BATCH_MAX: Final = 256
"""Orders that are carried out together."""

WAITING_MAX: Final = 10_000
"""Orders that may wait."""

Perform = Callable[[Sequence[Order]], list[Outcome]]
Then = Callable[[Outcome], None]

logger = logging.getLogger(__name__)


class Worker:
    """Carries out orders in a thread of its own."""

    def __init__(self, perform: Perform) -> None:
        """`perform` runs in the thread and MUST return an outcome for each order."""
        self._perform = perform
        self._waiting: queue.Queue[tuple[Order, Then | None] | None] = queue.Queue(WAITING_MAX)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to work; outcomes are delivered on `loop`."""
        self._loop = loop
        self._thread = threading.Thread(target=self._work, name="effects", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Carry out what waits, then end. Blocks until then."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, order: Order, then: Then | None = None) -> None:
        """Have an order carried out; `then` gets its outcome on the loop.

        Raises:
            BusyError: too many wait already; the order was not taken.
        """
        try:
            self._waiting.put_nowait((order, then))
        except queue.Full:
            raise BusyError(f"{WAITING_MAX} orders wait, no more are taken") from None

    def _work(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next_batch()
            if not batch:
                continue
            outcomes = self._outcomes([order for order, _ in batch])
            told = [(then, outcome) for (_, then), outcome in zip(batch, outcomes, strict=True) if then]
            if told and self._loop is not None:
                try:
                    self._loop.call_soon_threadsafe(_tell, told)
                except RuntimeError:
                    logger.debug("loop is closed, nobody waits for outcomes")

    def _next_batch(self) -> tuple[list[tuple[Order, Then | None]], bool]:
        batch: list[tuple[Order, Then | None]] = []
        item = self._waiting.get()
        while item is not None:
            batch.append(item)
            if len(batch) == BATCH_MAX:
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


def _tell(told: list[tuple[Then, Outcome]]) -> None:
    for then, outcome in told:
        try:
            then(outcome)
        except Exception:
            logger.exception("outcome could not be delivered")
