"""Frames that differ in the uid alone, against frames that are made for each agent."""

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
