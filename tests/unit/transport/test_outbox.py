"""What is written at the end of a turn of the loop."""

import asyncio
import logging

import pytest

from distribution.transport.outbox import Outbox


class Line(asyncio.Transport):
    """A connection that notes what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Note it."""
        self.written.append(bytes(data))

    def close(self) -> None:
        """End."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it ended."""
        return self.closed


def test_frames_are_written_at_the_end_of_the_turn() -> None:
    """In their order, to all but a connection that has ended meanwhile, and each once."""
    outbox, one, other = Outbox(), Line(), Line()

    async def story() -> None:
        for number in (b"1", b"2"):
            outbox.later(one, b"a" + number)
            outbox.later(other, b"x" + number)
            outbox.later(one, b"b" + number)
            assert number not in b"".join(one.written)
            if number == b"2":
                other.close()
            await asyncio.sleep(0)

    asyncio.run(story())
    assert (one.written, other.written) == ([b"a1", b"b1", b"a2", b"b2"], [b"x1"])


def test_what_waits_can_be_written_at_once() -> None:
    """And is not written again at the end of the turn."""

    async def story() -> None:
        outbox, line = Outbox(), Line()
        outbox.later(line, b"first")
        outbox.now()
        assert line.written == [b"first"]
        await asyncio.sleep(0)
        assert (line.written, outbox.waiting) == ([b"first"], [])

    asyncio.run(story())


def test_one_that_cannot_be_written_keeps_no_other_back(caplog: pytest.LogCaptureFixture) -> None:
    """It is told of, and the next ones are written."""

    class Broken(Line):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            raise LookupError(data)

    async def story() -> None:
        outbox, line = Outbox(), Line()
        outbox.later(Broken(), b"lost")
        outbox.later(line, b"kept")
        await asyncio.sleep(0)
        assert line.written == [b"kept"]

    with caplog.at_level(logging.ERROR):
        asyncio.run(story())
    assert [record.getMessage() for record in caplog.records] == ["frame could not be written"]
