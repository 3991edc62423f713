"""One decision for all agents that stand alike, against a decision for each."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from distribution.domain.agent import Capability, PackageState, Plan, Restart
from distribution.domain.attempts import numbered
from distribution.domain.configuration import ConfigObject, ConfigState, ConfigStatus, RemoteConfig
from distribution.domain.connections import ConnectionSet, ConnectionState, ConnectionStatus, Destination
from distribution.protocol import alike
from distribution.protocol.alike import Alike, Push
from distribution.protocol.pacing import AGAIN_FIRST
from distribution.protocol.session import Session, Standing, push
from tests.fakes.offers import a_status, an_offer
from tests.fakes.session_parts import ABLE, HELD, NOW, OFFER, PLAN, QUIET, a_failure, a_session, greeted

OTHER_UID = UUID("0192f2a1-7c3e-7abc-8def-ffffffffffff")
CONFIG = RemoteConfig({"": ConfigObject(b"receivers: {}")}, "base@1")
SETTINGS = ConnectionSet(other={"x": Destination("https://x.example")})
SPEAKS = (
    ABLE
    | Capability.ACCEPTS_REMOTE_CONFIG
    | Capability.REPORTS_REMOTE_CONFIG
    | Capability.REPORTS_CONNECTION_STATUS
)
APPLIED = ConfigStatus(ConfigState.APPLIED, numbered(CONFIG.digest, 1))
CONNECTED = ConnectionStatus(ConnectionState.APPLIED, numbered(SETTINGS.digest, 1))


def standing(**known: object) -> Session:
    """Return a greeted session whose view says so much."""
    session = greeted()
    return replace(session, view=replace(session.view, **known))  # type: ignore[arg-type] # any part of a view


def found(session: Session, plan: Plan = PLAN, among: Alike | None = None) -> Push:
    """Return what is decided, which must be something."""
    push = (among or Alike()).push(session, None, plan, NOW)
    assert push is not None
    return push


def test_another_agent_gets_the_same_decision() -> None:
    """It is the one that it would get by itself, but for its uid."""
    among, one, other = Alike(), standing(), standing(uid=OTHER_UID)
    first = found(one, among=among)
    assert found(other, among=among) is first
    turn = push(other, PLAN, NOW)
    assert replace(first.reply, uid=OTHER_UID) == turn.reply
    assert first.over(other) == turn.session
    assert not first.bare


@pytest.mark.parametrize(
    "known",
    [
        {"packages": HELD},
        {"packages": a_failure()},
        {"packages": a_status(PackageState.INSTALLED, an_offer("0.9.0"))},
        {"packages": replace(a_failure(), offer_hash=numbered(OFFER.hash, 7))},
        {"capabilities": Capability.REPORTS_STATUS},
        {"capabilities": SPEAKS},
        {"capabilities": SPEAKS, "config": APPLIED},
        {"capabilities": SPEAKS, "config": replace(APPLIED, state=ConfigState.FAILED)},
    ],
    ids=["holds", "failed", "older", "tried", "unable", "able", "applied", "refused"],
)
def test_who_stands_otherwise_gets_his_own(known: dict[str, object]) -> None:
    """What `push` leads to for him, whoever was decided before."""
    plan = replace(PLAN, config=CONFIG)
    among = Alike()
    found(standing(), plan, among)
    found(standing(capabilities=SPEAKS), plan, among)
    session = standing(**known)
    turn = push(session, plan, NOW)
    decided = found(session, plan, among)
    assert (decided.reply, decided.over(session)) == (turn.reply, turn.session)


def test_settings_that_are_held_are_decided_alike_and_new_ones_are_not() -> None:
    """An offer of connections has its agent's own certificate in it."""
    plan = replace(PLAN, connections=SETTINGS)
    among = Alike()
    assert among.push(standing(capabilities=SPEAKS), None, plan, NOW) is None
    held = standing(capabilities=SPEAKS, connections=CONNECTED)
    assert found(held, plan, among).reply.offer == OFFER


@pytest.mark.parametrize(
    ("session", "plan"),
    [
        (a_session(), PLAN),
        (replace(greeted(), standing=Standing.ENROLLING), PLAN),
        (replace(greeted(), standing=Standing.NEXT), PLAN),
        (greeted(), replace(PLAN, problem="no channel applies")),
        (greeted(), replace(PLAN, restart=Restart(1))),
    ],
    ids=["silent", "stranger", "next", "problem", "restart"],
)
def test_what_is_an_agents_own_affair_is_not_decided(session: Session, plan: Plan) -> None:
    """The caller decides it by itself."""
    assert Alike().push(session, None, plan, NOW) is None


def test_one_wake_up_after_the_other() -> None:
    """The second finds what the first one led to, though nobody put it into the state; time counts too."""
    among, session = Alike(), standing()
    first = found(session, among=among)
    again = among.push(session, first, PLAN, NOW)
    assert again is not None
    assert again.bare
    assert (again.offered, again.quiet_until) == (first.offered, NOW + AGAIN_FIRST)
    later = among.push(session, again, PLAN, NOW + AGAIN_FIRST)
    assert later is not None
    assert later.reply.offer_attempt == 2
    assert later.over(session) == push(first.over(session), PLAN, NOW + AGAIN_FIRST).session


def test_a_plan_of_nothing_leaves_each_what_he_was_offered() -> None:
    """What was offered before is not taken for another's."""
    among = Alike()
    offered = replace(greeted(), offered=found(standing()).offered)
    assert found(greeted(), QUIET, among).offered is None
    assert found(offered, QUIET, among).offered == offered.offered


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More ways to stand than are kept are decided anew, and rightly."""
    monkeypatch.setattr(alike, "KINDS_MAX", 2)
    among = Alike()
    for second in range(5):
        seen = replace(greeted(), offered=found(standing()).offered)
        offered = None if seen.offered is None else replace(seen.offered, at=NOW - timedelta(seconds=second))
        session = replace(seen, offered=offered)
        assert found(session, PLAN, among).over(session) == push(session, PLAN, NOW).session
        assert len(among._found) <= 2
