"""The conversation as playbooks: a message in, a reply and effects out."""

from dataclasses import replace
from datetime import timedelta

import pytest

from distribution.domain.agent import (
    Capability,
    Components,
    PackagesReport,
    PackageState,
    Plan,
    Report,
    Restart,
)
from distribution.domain.attempts import numbered
from distribution.domain.configuration import ConfigObject, ConfigState, ConfigStatus, RemoteConfig
from distribution.domain.connections import ConnectionSet, ConnectionState, ConnectionStatus
from distribution.protocol import pacing
from distribution.protocol.effects import Certify, Equip, Examine, ExamineAgain, KeepComponents, Promote
from distribution.protocol.outcomes import taken
from distribution.protocol.session import Session, Standing, push, step
from tests.fakes.offers import a_status, an_offer
from tests.fakes.session_parts import (
    ABLE,
    DESCRIPTION,
    HELD,
    LATER,
    NOW,
    OFFER,
    PLAN,
    QUIET,
    a_report,
    a_session,
    greeted,
)


def test_first_message_is_greeted_and_full() -> None:
    """A new agent's first full message is answered with the capabilities, its second with nothing new."""
    turn = step(a_session(), a_report(description=DESCRIPTION), QUIET, NOW)
    assert (turn.reply.greeting, turn.reply.full_state) == (True, False)
    view = turn.session.view
    assert (view.connected, view.last_seen, view.platform) == (True, NOW, "linux-amd64")
    assert turn.effects == ()
    assert step(turn.session, a_report(1), QUIET, NOW).reply.bare


def test_short_first_message_of_an_unknown_agent_asks_for_everything() -> None:
    """A client that reconnects to a server which lost its memory sends little; it is asked for all."""
    assert step(a_session(), a_report(7), QUIET, NOW).reply.full_state


def test_short_first_message_that_follows_on_is_enough() -> None:
    """After a reconnect nothing is asked if no message was missed."""
    known = a_session(description=DESCRIPTION, sequence=6)
    assert not step(known, a_report(7), QUIET, NOW).reply.full_state


@pytest.mark.parametrize("sequence", [1, 0, 5], ids=["repeated", "restarted", "skipped"])
def test_gap_asks_for_everything(sequence: int) -> None:
    """Any number but the next one means that something was missed."""
    before = step(greeted(), a_report(1), QUIET, NOW).session
    assert step(before, a_report(sequence), QUIET, NOW).reply.full_state


def test_gap_is_over_when_everything_was_said_again() -> None:
    """The full message that was asked for ends it, and the numbers count from there."""
    after = step(greeted(), a_report(9), QUIET, NOW).session
    full = step(after, a_report(12, description=DESCRIPTION), QUIET, NOW)
    assert not full.reply.full_state
    assert not step(full.session, a_report(13), QUIET, NOW + pacing.ASK_EVERY).reply.full_state


def test_agent_that_does_not_listen_is_asked_now_and_then() -> None:
    """A client whose numbers never fit is asked again, ever more rarely; once it answered, at once."""
    state, asked = greeted(), []
    for second in range(80):
        turn = step(state, a_report(7), QUIET, NOW + timedelta(seconds=second))
        state = turn.session
        if turn.reply.full_state:
            asked.append(second)
    assert asked == [0, 10, 30, 70]
    state = step(state, a_report(999), QUIET, NOW - timedelta(days=1))
    assert state.reply.full_state, "the clock was set back, and it is not waited for"
    assert not step(state.session, a_report(1003), QUIET, NOW - timedelta(days=1)).reply.full_state
    full = step(state.session, a_report(5, description=DESCRIPTION), QUIET, NOW).session
    assert step(full, a_report(9), QUIET, NOW).reply.full_state, "it says everything when it is asked"


def test_gap_is_remembered_over_a_reconnect() -> None:
    """What was missed is asked for on the next connection too, if it was not said until then."""
    before = step(greeted(), a_report(9), QUIET, NOW).session
    again = Session(before.view, Standing.CURRENT)
    assert step(again, a_report(10), QUIET, NOW).reply.full_state


def test_goodbye_is_answered_without_offer_or_question() -> None:
    """An agent that leaves is told nothing new, and is no longer connected."""
    turn = step(a_session(), a_report(9, disconnect=True), PLAN, NOW)
    assert (turn.reply.offer, turn.reply.full_state) == (None, False)
    assert not turn.session.view.connected


def test_offer_is_made_once() -> None:
    """The same offer is not repeated with every message of a connection."""
    first = step(a_session(), a_report(description=DESCRIPTION), PLAN, NOW)
    second = step(first.session, a_report(1), PLAN, NOW + LATER)
    assert (first.reply.offer, second.reply.offer) == (OFFER, None)


@pytest.mark.parametrize("state", [PackageState.DOWNLOADING, PackageState.INSTALLING])
def test_busy_agent_is_left_alone(state: PackageState) -> None:
    """A second offer would stop a client that is still working on the first."""
    turn = step(a_session(), a_report(description=DESCRIPTION, packages=a_status(state, OFFER)), PLAN, NOW)
    assert turn.reply.offer is None


@pytest.mark.parametrize(
    ("said", "plan"),
    [
        ({"packages": HELD}, PLAN),
        ({"capabilities": Capability.REPORTS_STATUS}, PLAN),
        ({"description": DESCRIPTION}, QUIET),
    ],
    ids=["held-already", "takes-no-packages", "no-plan"],
)
def test_nothing_is_offered_without_need(said: dict[str, object], plan: Plan) -> None:
    """What is held is not told, nobody is offered what it does not take, and silence removes no package."""
    assert step(a_session(), a_report(**said), plan, NOW).reply.offer is None


def test_settled_agent_is_answered_bare_until_something_is_new() -> None:
    """Heartbeats of an agent that holds its offer change its time and number, and a new plan is noticed."""
    state = step(a_session(), a_report(description=DESCRIPTION, packages=HELD), PLAN, NOW).session
    beaten = step(state, a_report(1), PLAN, NOW + LATER)
    assert (beaten.reply.bare, beaten.effects) == (True, ())
    assert beaten.session == replace(state, view=replace(state.view, sequence=1, last_seen=NOW + LATER))
    assert step(beaten.session, a_report(3), PLAN, NOW).reply.full_state
    newer = Plan(an_offer("1.1.0"), 30)
    assert step(beaten.session, a_report(2), newer, NOW).reply.offer == newer.offer
    lost = step(beaten.session, a_report(2, packages=PackagesReport()), PLAN, NOW)
    assert lost.reply.offer == OFFER


def test_same_packages_under_another_hash_are_offered() -> None:
    """The agent's hash of the whole set counts too: it must know which set it holds."""
    held = replace(HELD, offer_hash=b"other")
    report = a_report(packages=held, description=DESCRIPTION)
    assert step(a_session(), report, PLAN, NOW).reply.offer == OFFER


def test_changed_plan_is_offered_at_once() -> None:
    """Another hash does not wait for the back-off of the one before."""
    first = step(a_session(), a_report(description=DESCRIPTION), PLAN, NOW).session
    newer = an_offer("1.1.0")
    assert step(first, a_report(1), Plan(newer, 30), NOW).reply.offer == newer


def test_problem_of_the_plan_is_kept_with_the_agent() -> None:
    """Why nothing is offered can be read at the agent."""
    turn = step(a_session(), a_report(), Plan(None, 30, "two channels fit"), NOW)
    assert turn.session.view.problem == "two channels fit"


def test_enrolling_agent_is_told_nothing_but_hello() -> None:
    """Without a certificate there is no offer and no question, whatever the plan."""
    first = step(a_session(Standing.ENROLLING), a_report(5), PLAN, NOW)
    second = step(first.session, a_report(9, packages=HELD), PLAN, NOW)
    assert (first.reply.greeting, first.reply.full_state, first.reply.offer) == (True, False, None)
    assert second.reply.bare
    assert second.effects == ()
    assert second.session.standing is Standing.ENROLLING


@pytest.mark.parametrize("standing", list(Standing))
def test_certificate_request_is_an_effect(standing: Standing) -> None:
    """Everyone may ask for a certificate; the authority decides."""
    assert Certify(b"pem") in step(a_session(standing), a_report(csr=b"pem"), QUIET, NOW).effects


def test_first_message_with_the_next_credential_promotes_it() -> None:
    """Once, before anything else that the message leads to."""
    first = step(a_session(Standing.NEXT), a_report(csr=b"pem"), QUIET, NOW)
    assert first.effects == (Promote(), Certify(b"pem"))
    assert first.session.standing is Standing.CURRENT
    assert step(first.session, a_report(1), QUIET, NOW).effects == ()


def test_changed_plan_is_pushed() -> None:
    """A wake-up tells a changed offer without waiting for a message, once."""
    first = push(greeted(), PLAN, NOW)
    second = push(first.session, PLAN, NOW)
    assert (first.reply.offer, second.reply.bare) == (OFFER, True)


def test_nothing_is_pushed_before_the_first_message_or_while_enrolling() -> None:
    """Until an agent has spoken nobody knows what it accepts."""
    able = {"capabilities": ABLE}
    assert push(a_session(**able), PLAN, NOW).reply.bare
    enrolling = replace(a_session(Standing.ENROLLING, **able), greeted=True)
    assert push(enrolling, PLAN, NOW).reply.bare


def test_push_keeps_the_problem() -> None:
    """A wake-up that ends in no offer says why at the agent."""
    assert push(greeted(), Plan(None, 30, "no artifact"), NOW).session.view.problem == "no artifact"


CONFIG = RemoteConfig({"": ConfigObject(b"receivers: {}")}, "base@1")
SETTINGS = ConnectionSet(heartbeat_seconds=20)
EVERYTHING = Capability(0xFFFF)


def _able(sequence: int = 0, **said: object) -> Report:
    return replace(a_report(sequence, capabilities=EVERYTHING), **said)  # type: ignore[arg-type] # as above


def _known(plan: Plan = QUIET) -> Session:
    return step(a_session(), _able(description=DESCRIPTION), plan, NOW).session


def test_configuration_is_offered_once_and_settles_when_applied() -> None:
    """Then heartbeats are answered barely."""
    plan = Plan(None, 30, config=CONFIG)
    first = step(_known(), _able(1), plan, NOW)
    assert first.reply.config is not None
    assert (first.reply.config.config, first.reply.config.attempt) == (CONFIG, 1)
    assert step(first.session, _able(2), plan, NOW).reply.bare
    applied = ConfigStatus(ConfigState.APPLIED, numbered(CONFIG.digest, 1))
    settled = step(first.session, _able(2, config_status=applied), plan, NOW)
    assert (settled.session.settled, settled.effects) == (plan, (ExamineAgain(CONFIG),))


def test_a_changed_configuration_is_pushed() -> None:
    """A wake-up offers it without waiting for a message."""
    told = push(_known(), Plan(None, 30, config=CONFIG), NOW)
    assert told.reply.config is not None


def test_connection_settings_are_equipped_and_not_repeated() -> None:
    """The effect completes the offer; once applied nothing is due."""
    plan = Plan(None, 30, connections=SETTINGS)
    first = step(_known(), _able(1), plan, NOW)
    assert first.effects == (Equip(SETTINGS, 1, reports_status=True),)
    assert step(first.session, _able(2), plan, NOW).effects == ()
    applied = ConnectionStatus(ConnectionState.APPLIED, numbered(SETTINGS.digest, 1))
    assert step(first.session, _able(2, connection_status=applied), plan, NOW).session.settled is plan


def test_settings_that_are_given_again_are_offered_at_once() -> None:
    """They were taken away meanwhile, and the agent's last word is of others (a renewed certificate)."""
    plan = Plan(None, 30, connections=SETTINGS)
    given = step(_known(), _able(1), plan, NOW).session
    others = ConnectionStatus(ConnectionState.APPLIED, b"others")
    taken = step(given, _able(2, connection_status=others), Plan(None, 30), NOW).session
    assert step(taken, _able(3), plan, NOW).effects == (Equip(SETTINGS, 1, reports_status=True),)


def test_effective_configuration_is_examined_against_what_is_intended() -> None:
    """Whatever the plan says now is what it is compared with."""
    reported = {"": ConfigObject(b"receivers: {}")}
    turn = step(_known(), _able(1, effective=reported), Plan(None, 30, config=CONFIG), NOW)
    assert Examine(reported, CONFIG) in turn.effects


def test_components_are_asked_for_once_a_hash() -> None:
    """A hash that is new is asked about; its list is kept; the same hash is not asked about again."""
    asked = step(_known(), _able(1, components=Components(b"h")), QUIET, NOW)
    assert asked.reply.components
    assert not step(asked.session, _able(2, components=Components(b"h")), QUIET, NOW).reply.components
    listed = Components(b"h", "{}")
    kept = step(asked.session, _able(2, components=listed), QUIET, NOW)
    assert kept.effects == (KeepComponents(listed),)
    again = replace(taken(kept.session, kept.effects[0], Components(b"h"), NOW), asked_components=b"")
    assert not step(again, _able(3, components=Components(b"h")), QUIET, NOW).reply.components


def test_restart_is_told_once_and_alone() -> None:
    """What else is due waits for the next message."""
    plan = Plan(None, 30, config=CONFIG, restart=Restart(1))
    told = step(_known(), _able(1), plan, NOW)
    assert (told.reply.restart, told.reply.config, told.reply.full_state) == (True, None, False)
    after = step(told.session, _able(2), plan, NOW)
    assert (after.reply.restart, after.reply.config is not None) == (False, True)
    assert step(after.session, _able(3), replace(plan, restart=Restart(2)), NOW).reply.restart


def test_restart_is_not_told_to_whom_does_not_accept_it() -> None:
    """It would be passed over, with everything else in its message."""
    mute = _able(1, capabilities=Capability.REPORTS_STATUS)
    assert not step(_known(), mute, Plan(None, 30, restart=Restart(1)), NOW).reply.restart


def test_a_leaving_agent_is_offered_nothing() -> None:
    """Its last words are kept and acknowledged."""
    turn = step(_known(), _able(1, disconnect=True), Plan(None, 30, config=CONFIG), NOW)
    assert turn.reply.bare
    assert not turn.session.view.connected
