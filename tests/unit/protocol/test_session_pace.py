"""How often an offer of packages is made, as a conversation."""

from dataclasses import replace
from datetime import timedelta

from distribution.domain.agent import (
    Capability,
    Plan,
    Restart,
)
from distribution.domain.attempts import numbered
from distribution.domain.configuration import ConfigObject, ConfigState, ConfigStatus, RemoteConfig
from distribution.protocol import pacing
from distribution.protocol.session import step
from tests.fakes.session_parts import (
    ABLE,
    DESCRIPTION,
    NOW,
    OFFER,
    PLAN,
    QUIET,
    a_failure,
    a_report,
    a_session,
    greeted,
)


def test_offer_is_made_again_ever_more_rarely() -> None:
    """While the agent does not hold it, the same offer comes again after one, two, four ... minutes."""
    state, made = greeted(), []
    for minute in range(70):
        turn = step(state, a_report(minute + 1), PLAN, NOW + timedelta(minutes=minute))
        state = turn.session
        if turn.reply.offer is not None:
            made.append(minute)
    assert made == [0, 1, 3, 7, 15, 31, 63]


def test_offer_is_made_again_in_time_after_the_clock_was_set_back() -> None:
    """Heartbeats of an hour that comes twice do not wait for the end of it."""
    state = step(greeted(), a_report(1), PLAN, NOW).session
    state = step(state, a_report(2), PLAN, NOW + timedelta(seconds=1)).session
    made = []
    for minute in range(5):
        turn = step(state, a_report(minute + 3), PLAN, NOW + timedelta(minutes=minute - 60))
        state = turn.session
        if turn.reply.offer is not None:
            made.append(minute)
    assert made == [1, 3]


def test_longest_wait_is_bounded() -> None:
    """However often an offer was made, it is made again within an hour."""
    state = replace(greeted(), offered=pacing.Offered(OFFER.hash, 500, NOW))
    assert step(state, a_report(1), PLAN, NOW + timedelta(minutes=59)).reply.offer is None
    assert step(state, a_report(1), PLAN, NOW + pacing.AGAIN_MOST).reply.offer == OFFER


def test_failed_offer_waits_longer() -> None:
    """What the agent tried and gave up is offered again after ten minutes, not one."""
    first = step(a_session(), a_report(description=DESCRIPTION), PLAN, NOW).session
    failed = a_failure("crashed")
    second = step(first, a_report(1, packages=failed), PLAN, NOW + timedelta(minutes=9))
    third = step(second.session, a_report(2), PLAN, NOW + pacing.RETRY_FIRST)
    assert (second.reply.offer, third.reply.offer) == (None, OFFER)


def test_reconnect_is_no_reason_to_try_a_failed_offer_again() -> None:
    """An agent that failed this very offer before it reconnected waits as if it had not."""
    first = step(a_session(), a_report(description=DESCRIPTION, packages=a_failure()), PLAN, NOW)
    second = step(first.session, a_report(1), PLAN, NOW + pacing.RETRY_FIRST)
    assert (first.reply.offer, second.reply.offer) == (None, OFFER)


def test_failed_configuration_is_offered_again_under_another_hash() -> None:
    """After the wait, with the next number; not before."""
    able = Capability.ACCEPTS_REMOTE_CONFIG | Capability.REPORTS_REMOTE_CONFIG
    config = RemoteConfig({"": ConfigObject(b"receivers: {}")}, "base@1")
    plan = Plan(None, 30, config=config)
    first = step(a_session(), a_report(description=DESCRIPTION, capabilities=able), plan, NOW)
    failed = ConfigStatus(ConfigState.FAILED, numbered(config.digest, 1), "bad receiver")
    said = a_report(1, capabilities=able, config_status=failed)
    second = step(first.session, said, plan, NOW)
    assert (first.reply.config is not None, second.reply.config) == (True, None)
    third = step(second.session, a_report(2, capabilities=able), plan, NOW + pacing.RETRY_FIRST)
    assert third.reply.config is not None
    assert third.reply.config.attempt == 2


def test_a_gap_beside_a_restart_is_asked_about_afterwards() -> None:
    """The command stands alone; the full state is asked for with the next answer."""
    able = ABLE | Capability.ACCEPTS_RESTART
    order = Plan(None, 30, restart=Restart(1))
    told = step(greeted(), a_report(9, capabilities=able), order, NOW)
    assert (told.reply.restart, told.reply.full_state) == (True, False)
    assert step(told.session, a_report(10, capabilities=able), QUIET, NOW).reply.full_state


def test_an_agent_that_comes_and_goes_gets_what_it_failed_all_the_same() -> None:
    """It connects anew every five minutes; the offer comes after ten, twenty, forty ... as for any other."""
    offered, made = pacing.Offered(OFFER.hash, 1, NOW), []
    for turn_of in range(30):
        now = NOW + timedelta(minutes=5 * turn_of)
        anew = replace(a_session(), earlier=pacing.Earlier(offered))
        turn = step(anew, a_report(description=DESCRIPTION, packages=a_failure()), PLAN, now)
        assert turn.session.offered is not None
        offered = turn.session.offered
        if turn.reply.offer is not None:
            made.append(5 * turn_of)
    assert made == [10, 30, 70]
