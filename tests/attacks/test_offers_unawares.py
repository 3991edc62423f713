"""Packages are not offered while an agent may be working on others, and the message that said so is lost."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.domain.agent import PackageState, Plan
from distribution.fleet.registry import Registry
from distribution.flows.exchange import Exchange
from distribution.protocol.asking import UNANSWERED_MOST
from distribution.protocol.session import Turn, push, step
from tests.fakes.authority import at_work
from tests.fakes.offers import a_status, an_offer
from tests.fakes.session_parts import DESCRIPTION, LATER, NOW, a_report, a_session
from tests.unit.flows.test_exchange import HERE, Scene, said

FIRST, SECOND = an_offer("1.0.0"), an_offer("2.0.0")
DOWNLOADING = a_status(PackageState.DOWNLOADING, FIRST)


def offered() -> Turn:
    """Return an agent's first message, answered with the offer."""
    turn = step(a_session(), a_report(0, description=DESCRIPTION), Plan(FIRST, 30), NOW)
    assert turn.reply.offer == FIRST
    return turn


def lost() -> Turn:
    """Its second message, that it downloads, is lost; this is its third."""
    return step(offered().session, a_report(2), Plan(FIRST, 30), NOW + timedelta(minutes=1))


def test_the_same_offer_under_another_number() -> None:
    """It is due again by the clock, and no client could pass over it."""
    turn = lost()
    assert turn.reply.full_state
    assert turn.reply.offer is None


def test_another_offer_that_is_pushed() -> None:
    """An operator moves the channel in the very moment."""
    assert push(lost().session, Plan(SECOND, 30), NOW + timedelta(minutes=1, seconds=1)).reply.offer is None


def test_when_it_has_said_everything_it_is_offered() -> None:
    """Busy, it is left alone; done, it is offered what it is to have."""
    plan, then = Plan(SECOND, 30), NOW + timedelta(minutes=2)
    busy = step(lost().session, a_report(3, description=DESCRIPTION, packages=DOWNLOADING), plan, then)
    assert busy.reply.offer is None
    held = a_status(PackageState.INSTALLED, FIRST)
    assert step(busy.session, a_report(4, packages=held), plan, then + LATER).reply.offer == SECOND


def test_who_never_answers_is_offered_all_the_same() -> None:
    """Some clients cannot say everything at once; they are not cut off from packages for that."""
    turn, plan, now, asked = lost(), Plan(SECOND, 30), NOW + timedelta(minutes=1), 1
    for sequence in range(3, 40):
        now += LATER
        turn = step(turn.session, a_report(sequence), plan, now)
        if turn.reply.offer is not None:
            break
        asked += turn.reply.full_state
    assert turn.reply.offer == SECOND
    assert asked == UNANSWERED_MOST


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with at_work(tmp_path) as work:
        yield Scene(work)


def test_a_server_that_was_started_anew(scene: Scene) -> None:
    """It knows the packages of before, and not what was said while it was away."""
    scene.plan = Plan(FIRST, 30)
    installed = a_status(PackageState.INSTALLED, FIRST)
    scene.exchange.hear(scene.talk(), said(0, description=HERE, packages=installed))
    scene.registry.flush()
    anew = Exchange(
        database=scene.work.database,
        registry=Registry(scene.work.database, scene.work.admission.labels_of),
        admission=scene.work.admission,
        authority=scene.work.authority,
        connections=scene.connections,
        plan_for=lambda _: Plan(SECOND, 30),
        heartbeat_seconds=30,
        clock=scene.work.clock,
    )
    talk = anew.open(scene.caller)
    bare = anew.hear(talk, said(7)).reply
    assert (bare.full_state, bare.offer) == (True, None)
    busy = replace(said(8, description=HERE), packages=DOWNLOADING)
    assert anew.hear(talk, busy).reply.offer is None


def test_who_says_how_far_his_packages_are_is_believed_at_once() -> None:
    """Whatever else is missing of what he said."""
    held = a_status(PackageState.INSTALLED, FIRST)
    turn = step(lost().session, a_report(3, packages=held), Plan(SECOND, 30), NOW + timedelta(minutes=2))
    assert turn.reply.offer == SECOND


def test_who_says_nothing_and_does_not_answer(scene: Scene) -> None:
    """An agent without heartbeats: what it is to have is decided again when it was asked in vain."""
    scene.plan = Plan(None, 30)
    talk = scene.talk()
    scene.exchange.hear(talk, said(0, description=HERE))
    scene.plan = Plan(SECOND, 30)
    scene.exchange.waking.forget_plan(talk)
    assert scene.exchange.hear(talk, said(5)).reply.full_state
    for _ in range(60):
        scene.work.clock.advance(timedelta(seconds=15))
        if scene.exchange.aftermath.ask_again(talk) and scene.exchange.aftermath.asks_in_vain(talk):
            break
    pushed = scene.exchange.replan(talk)
    assert pushed is not None
    assert pushed.reply.offer == SECOND
