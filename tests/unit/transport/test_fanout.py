"""Frames that differ in the uid alone, against frames that are made for each agent."""

import asyncio
from dataclasses import replace
from uuid import UUID

from distribution.domain.terms import Terms
from distribution.protocol.offers import Reply, for_websocket
from distribution.transport.fanout import Fanout
from distribution.transport.frames import binary_frame
from tests.fakes.offers import an_offer

TERMS = Terms("wss://a.example/v1/opamp", "https://d.example", "")
UIDS = [UUID(int=0x0192F2A1_7C3E_7ABC_8DEF_0000_0000_0000 + number) for number in range(1, 4)]


def test_every_agent_gets_the_frame_that_is_made_for_it() -> None:
    """Whoever came first, and whatever was told before: short, long and bare ones."""
    fanout = Fanout()
    names = "otelcol", "a-package-with-a-very-long-name-so-that-the-frame-has-a-long-h"
    replies = [Reply(UIDS[0]), *(Reply(UIDS[0], offer=an_offer(name=name)) for name in names)]
    for reply in [*replies, *replies]:
        for uid in UIDS:
            alone = binary_frame(for_websocket(replace(reply, uid=uid), TERMS))
            assert fanout.frame(reply, uid, TERMS) == alone


def test_one_reply_is_rendered_once() -> None:
    """As long as the same one is told; an equal one is another."""
    fanout, reply = Fanout(), Reply(UIDS[0], offer=an_offer())
    fanout.frame(reply, UIDS[0], TERMS)
    elsewhere = replace(TERMS, downloads_url="https://elsewhere.example")
    assert b"elsewhere" not in fanout.frame(reply, UIDS[1], elsewhere)
    assert b"elsewhere" in fanout.frame(replace(reply), UIDS[1], elsewhere)


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


def test_frames_are_written_in_the_next_turn() -> None:
    """In their order, to all but a connection that has ended meanwhile, and each once."""
    fanout, one, other = Fanout(), Line(), Line()

    async def story() -> None:
        for number in (b"1", b"2"):
            fanout.later(one, b"a" + number)
            fanout.later(other, b"x" + number)
            fanout.later(one, b"b" + number)
            assert number not in b"".join(one.written)
            if number == b"2":
                other.close()
            await asyncio.sleep(0)

    asyncio.run(story())
    assert (one.written, other.written) == ([b"a1", b"b1", b"a2", b"b2"], [b"x1"])
