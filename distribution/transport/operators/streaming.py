"""A request's body as an iterator in a worker thread: bounded, hashed and written there, never on the loop.

The loop reads the socket and gathers blocks; a worker takes them, a few at most wait in between, so a slow
store slows the sender down and memory stays small. A body that ends early ends the iterator with an error:
half a file is never taken for a whole one.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.requests import ClientDisconnect, Request

from distribution.errors import BusyError, InvalidError

BLOCK_BYTES = 1 << 20
BLOCKS_WAITING = 4
IDLE_SECONDS = 60
"""How long a sender may say nothing before its body counts as ended."""
BLOCK_SECONDS = 60
"""How long a block may take to come, waiting for the store aside; who is slower holds others' places."""

T = TypeVar("T")


class Gate:
    """Lets so many in at the same time. For the event loop's thread alone."""

    def __init__(self, places: int, what: str) -> None:
        self._places = places
        self._taken = 0
        self._what = what

    def __enter__(self) -> None:
        if self._taken >= self._places:
            raise BusyError(f"{self._taken} {self._what} are under way, at most {self._places} are taken")
        self._taken += 1

    def __exit__(self, *_exc: object) -> None:
        self._taken -= 1


class _Body:
    """What the loop knows of the body that the worker must know too."""

    def __init__(self) -> None:
        self.whole = False


async def with_body(request: Request, work: Callable[[Iterator[bytes]], T]) -> T:
    """Run `work` in a thread on the request's body; return or raise what it does.

    Raises (inside `work`, from the iterator): InvalidError when the sender stopped before the end.
    """
    send, receive = anyio.create_memory_object_stream[bytes](BLOCKS_WAITING)
    body = _Body()
    failure: Exception | None = None
    result: list[T] = []
    async with anyio.create_task_group() as group, receive:
        group.start_soon(_pump, request, send, body)
        try:
            result.append(await anyio.to_thread.run_sync(work, _blocks(receive, body)))
        except Exception as exc:  # noqa: BLE001 - raised again below, outside the task group
            failure = exc
        group.cancel_scope.cancel()  # refused early: the rest of the body is not wanted
    if failure is not None:
        raise failure
    return result[0]


async def _pump(request: Request, send: MemoryObjectSendStream[bytes], body: _Body) -> None:
    gathered = bytearray()
    chunks = aiter(request.stream())
    async with send:
        try:
            block = Deadline(BLOCK_SECONDS)
            while (chunk := await _next(chunks, block)) is not None:
                gathered += chunk
                if len(gathered) >= BLOCK_BYTES:
                    await send.send(bytes(gathered))
                    gathered.clear()
                    block = Deadline(BLOCK_SECONDS)
            if gathered:
                await send.send(bytes(gathered))
            body.whole = True
        except (ClientDisconnect, TimeoutError, anyio.BrokenResourceError):
            return


class Deadline:
    """A moment that comes `seconds` after it was set."""

    def __init__(self, seconds: float) -> None:
        self._at = anyio.current_time() + seconds

    @property
    def left(self) -> float:
        """Seconds until then."""
        return max(0.0, self._at - anyio.current_time())


async def _next(chunks: AsyncIterator[bytes], block: Deadline) -> bytes | None:
    with anyio.fail_after(min(IDLE_SECONDS, block.left)):
        return await anext(chunks, None)


def _blocks(receive: MemoryObjectReceiveStream[bytes], body: _Body) -> Iterator[bytes]:
    """Yield the blocks; runs in the worker, and asks the loop for each."""
    while True:
        try:
            yield anyio.from_thread.run(receive.receive)
        except anyio.EndOfStream:
            break
    if not body.whole:
        raise InvalidError("body ended before its end: the sender stopped")
