"""A body in a worker: whole, in order, bounded; half a body is an error and never a file."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import pytest
from starlette.requests import Request

from distribution.errors import BusyError, InvalidError
from distribution.transport.operators import streaming
from distribution.transport.operators.streaming import BLOCK_BYTES, BLOCKS_WAITING, Gate, with_body

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


def request(receive: Receive) -> Request:
    return Request({"type": "http", "method": "PUT", "path": "/", "headers": []}, receive)


def messages(*bodies: bytes, ended: bool = True, sent: list[int] | None = None) -> Receive:
    """Return an ASGI `receive` that sends these parts and then ends, or hangs up."""

    async def parts() -> AsyncIterator[Message]:
        for number, body in enumerate(bodies):
            if sent is not None:
                sent.append(len(body))
            more = not ended or number + 1 < len(bodies)
            yield {"type": "http.request", "body": body, "more_body": more}
        while True:
            yield {"type": "http.disconnect"}

    left = parts()
    return lambda: anext(left)


def gather(blocks: Iterator[bytes]) -> list[bytes]:
    return list(blocks)


def run(receive: Receive, work: Callable[[Iterator[bytes]], Any] = gather) -> Any:
    return asyncio.run(with_body(request(receive), work))


def test_a_body_arrives_whole_and_in_order() -> None:
    """Small chunks are gathered into blocks."""
    parts = [bytes([number]) * 400_000 for number in range(10)]
    blocks = run(messages(*parts))
    assert b"".join(blocks) == b"".join(parts)
    assert len(blocks) == 4
    assert run(messages(b"")) == []


def test_half_a_body_is_an_error() -> None:
    """A sender that hangs up is not one that finished."""
    with pytest.raises(InvalidError, match="ended before its end"):
        run(messages(b"half", ended=False))


def test_a_silent_sender_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says nothing for too long has stopped."""
    monkeypatch.setattr(streaming, "IDLE_SECONDS", 0.01)

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(InvalidError, match="ended before its end"):
        run(never)


def test_a_trickling_sender_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever always says a little, and never a block in time, does not hold a place for ever."""
    monkeypatch.setattr(streaming, "BLOCK_SECONDS", 0.05)

    async def trickle() -> Message:
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(InvalidError, match="ended before its end"):
        run(trickle)


def test_a_slow_store_is_not_the_senders_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a block waits for the store is not counted."""
    monkeypatch.setattr(streaming, "BLOCK_SECONDS", 0.2)

    def slow(blocks: Iterator[bytes]) -> int:
        taken = 0
        for block in blocks:
            time.sleep(0.1)  # this is the store at work
            taken += len(block)
        return taken

    assert run(messages(*[bytes(BLOCK_BYTES)] * 10), slow) == 10 * BLOCK_BYTES


def test_what_the_work_refuses_is_raised_and_the_rest_is_not_read() -> None:
    """A refusal at the first block leaves all but what was under way unread."""
    sent: list[int] = []

    def refuse(blocks: Iterator[bytes]) -> None:
        next(blocks)
        raise InvalidError("no")

    parts = [bytes(BLOCK_BYTES)] * 100
    with pytest.raises(InvalidError, match="no"):
        run(messages(*parts, sent=sent), refuse)
    assert len(sent) <= BLOCKS_WAITING + 4


def test_a_gate_lets_so_many_in() -> None:
    """One more is told to come again; a place that is left is free."""
    gate = Gate(1, "uploads")
    with gate, pytest.raises(BusyError, match="1 uploads are under way, at most 1 are taken"), gate:
        pass
    with gate:
        pass
