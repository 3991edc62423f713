"""Frames that differ in the uid alone, against frames that are made for each agent."""

from dataclasses import replace
from uuid import UUID

import pytest

from distribution.domain.terms import Terms
from distribution.protocol.offers import Reply, for_websocket
from distribution.transport import fanout as module
from distribution.transport.fanout import Fanout
from distribution.transport.frames import binary_frame
from tests.fakes.offers import an_offer

TERMS = Terms("wss://a.example/v1/opamp", "https://d.example", "")
ELSEWHERE = replace(TERMS, downloads_url="https://elsewhere.example")
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
    """Though others are told between; an equal one is another."""
    fanout, replies = Fanout(), [Reply(UIDS[0], offer=an_offer(version)) for version in ("1.0.0", "1.1.0")]
    for reply in replies:
        fanout.frame(reply, UIDS[0], TERMS)
    for reply in replies:
        assert b"elsewhere" not in fanout.frame(reply, UIDS[1], ELSEWHERE)
    assert b"elsewhere" in fanout.frame(replace(replies[0]), UIDS[1], ELSEWHERE)


def test_frames_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound all are rendered anew; those that are told stay right."""
    monkeypatch.setattr(module, "KEPT_MAX", 2)
    fanout = Fanout()
    replies = [Reply(UIDS[0], offer=an_offer(f"1.{number}.0")) for number in range(3)]
    for reply in replies:
        fanout.frame(reply, UIDS[0], TERMS)
    assert b"elsewhere" not in fanout.frame(replies[2], UIDS[1], ELSEWHERE)
    assert b"elsewhere" in fanout.frame(replies[0], UIDS[1], ELSEWHERE)


def test_of_long_frames_the_last_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of large configurations does not add up."""
    monkeypatch.setattr(module, "KEPT_BYTES", 10)
    fanout, replies = Fanout(), [Reply(UIDS[0], offer=an_offer(version)) for version in ("1.0.0", "1.1.0")]
    for reply in replies:
        fanout.frame(reply, UIDS[0], TERMS)
    assert b"elsewhere" not in fanout.frame(replies[1], UIDS[1], ELSEWHERE)
    assert b"elsewhere" in fanout.frame(replies[0], UIDS[1], ELSEWHERE)
