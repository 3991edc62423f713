"""Why an offer is or is not made, from the values that decide it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from distribution.domain.agent import AgentView, Capability, PackageState, Plan, Report, Restart
from distribution.domain.attempts import numbered
from distribution.domain.configuration import (
    Agreement,
    ConfigObject,
    ConfigState,
    ConfigStatus,
    EffectiveSeen,
    RemoteConfig,
)
from distribution.domain.connections import ConnectionSet, ConnectionState, ConnectionStatus
from distribution.protocol.asking import Asked
from distribution.protocol.explain import explain
from distribution.protocol.pacing import Offered
from distribution.protocol.session import Session, Standing, step
from tests.fakes.offers import a_status, an_offer

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
OFFER = an_offer()
CONFIG = RemoteConfig({"": ConfigObject(b"receivers: {}")}, "base@1")
SETTINGS = ConnectionSet(heartbeat_seconds=20)
PLAN = Plan(OFFER, 30, config=CONFIG, connections=SETTINGS)
ABLE = Capability.ACCEPTS_PACKAGES | Capability.ACCEPTS_REMOTE_CONFIG | Capability.REPORTS_REMOTE_CONFIG
VIEW = AgentView(UUID("0192f2a1-7c3e-7abc-8def-0123456789ab"), capabilities=ABLE, connected=True, sequence=4)
SESSION = Session(VIEW, Standing.CURRENT, greeted=True)


def test_an_enrolling_agent_is_offered_nothing() -> None:
    """One sentence says why."""
    found = explain(Session(VIEW, Standing.ENROLLING), PLAN, NOW)
    assert found == ("it is enrolling: nothing is offered before it holds a credential of its own",)


def test_what_is_due_is_said_for_each_part() -> None:
    """Nothing held, nothing offered yet."""
    assert explain(SESSION, PLAN, NOW) == (
        "packages: offered with the next message",
        "configuration base@1: offered with the next message",
        "connection settings: offered with the next message",
    )


def test_an_agent_that_owes_its_full_state() -> None:
    """Asked once it may be about to say it; asked again and again it does not, and one reason is named."""
    assert explain(replace(SESSION, asked=Asked(NOW)), PLAN, NOW) == explain(SESSION, PLAN, NOW)
    assert explain(replace(SESSION, asked=Asked(NOW, 3)), PLAN, NOW)[0] == (
        "it was asked 3 times to say everything and did not (a message over limits.message_max_bytes is "
        "refused); asked again from 2026-03-04T05:06:47Z on"
    )


def test_an_agent_of_which_something_is_missing() -> None:
    """It may be working on packages; asked in vain three times, it is taken by what is known."""
    unsure = replace(SESSION, view=replace(VIEW, sequence=None))
    assert "before it has said everything again" in explain(unsure, PLAN, NOW)[0]
    in_vain = replace(unsure, asked=Asked(NOW, 3))
    assert explain(in_vain, PLAN, NOW)[1] == explain(SESSION, PLAN, NOW)[0]


def test_nothing_planned_says_why() -> None:
    """In the words of whoever decided, or in ours."""
    plan = Plan(None, 30, "no channel applies", config_problem="two tie", restart=Restart(1))
    away = replace(SESSION, view=replace(VIEW, connected=False, last_seen=NOW))
    assert explain(away, plan, NOW) == (
        "it is not connected: whatever is due waits until it is heard again",
        "packages: nothing is offered, because no channel applies",
        "configuration: nothing is offered, because two tie",
        "connection settings: nothing is offered, because none apply",
        "restart: ordered, and told with the next message",
    )
    never = replace(SESSION, view=replace(VIEW, connected=False, last_seen=None))
    assert explain(never, plan, NOW)[0] == "it is not connected: whatever is due waits for its first message"
    mute = replace(SESSION, view=replace(VIEW, capabilities=Capability.REPORTS_STATUS))
    assert "does not accept remote configuration" in explain(mute, PLAN, NOW)[1]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (PackageState.INSTALLED, "it has what it is to have"),
        (PackageState.DOWNLOADING, "nothing is offered while it works on packages"),
        (
            PackageState.FAILED,
            "it tried and could not, on an earlier connection; offered again 10 min after it is heard again",
        ),
    ],
)
def test_what_the_agent_says_is_the_reason(state: PackageState, said: str) -> None:
    """Held, busy, failed before."""
    view = replace(VIEW, packages=a_status(state, OFFER))
    assert said in explain(replace(SESSION, view=view), PLAN, NOW)[0]


@pytest.mark.parametrize("state", [ConfigState.APPLYING, ConfigState.FAILED, ConfigState.UNSET])
@pytest.mark.parametrize("offered", [None, Offered(CONFIG.digest, 1, NOW), Offered(CONFIG.digest, 0, NOW)])
@pytest.mark.parametrize("wait", [timedelta(0), timedelta(seconds=90), timedelta(hours=2)])
def test_what_is_said_is_what_is_done(state: ConfigState, offered: Offered | None, wait: timedelta) -> None:
    """The next message offers it exactly where that was said, however the agent stands, here or away."""
    view = replace(VIEW, config=ConfigStatus(state, numbered(CONFIG.digest, 1)), sequence=1)
    session = Session(view, Standing.CURRENT, greeted=True, config=offered)
    said = explain(session, PLAN, NOW + wait)[1]
    turn = step(session, Report(view.uid, 2), PLAN, NOW + wait)
    assert (turn.reply.config is not None) == said.endswith("with the next message"), said


def test_applying_and_away_is_not_due() -> None:
    """What an agent was applying when it went is left alone for a while, and that is said."""
    view = replace(
        VIEW, config=ConfigStatus(ConfigState.APPLYING, numbered(CONFIG.digest, 1)), connected=False
    )
    assert explain(Session(view, Standing.CURRENT), PLAN, NOW)[2] == (
        "configuration base@1: it says that it is applying it, on an earlier connection; "
        "offered again 30 min after it is heard again"
    )


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (None, "it says that it has it; its effective configuration is still to show it"),
        (EffectiveSeen(b"", Agreement.AGREES, CONFIG.digest), "it has what it is to have"),
        (EffectiveSeen(b"", Agreement.DIFFERS, CONFIG.digest), "its effective configuration shows otherwise"),
        (
            EffectiveSeen(b"", Agreement.DIFFERS, CONFIG.digest, agreed=True),
            "its effective configuration does not show it any more",
        ),
    ],
    ids=["claimed", "applied", "untrue", "drifted"],
)
def test_the_agents_word_is_told_from_what_was_seen(seen: EffectiveSeen | None, said: str) -> None:
    """That it says applied is not that it has it; each way of not having it has words of its own."""
    able = ABLE | Capability.REPORTS_EFFECTIVE_CONFIG
    status = ConfigStatus(ConfigState.APPLIED, numbered(CONFIG.digest, 1))
    view = replace(VIEW, capabilities=able, config=status, effective=seen)
    assert said in explain(replace(SESSION, view=view), PLAN, NOW)[1]


def test_settings_sent_to_a_mute_agent_are_not_said_to_be_held() -> None:
    """It was sent them; what became of them it does not say."""
    told = ConnectionStatus(ConnectionState.UNSET, numbered(SETTINGS.digest, 1))
    sent = replace(SESSION, view=replace(VIEW, connections=told))
    assert explain(sent, PLAN, NOW)[2] == (
        "connection settings: nothing is due, because it was sent them, "
        "and does not report what became of them"
    )


def test_what_was_offered_says_when_it_is_offered_again() -> None:
    """How often, when last, why again, and when."""
    view = replace(VIEW, config=ConfigStatus(ConfigState.FAILED, numbered(CONFIG.digest, 1)))
    made = replace(SESSION, view=view, config=Offered(CONFIG.digest, 1, NOW))
    assert explain(made, PLAN, NOW)[1] == (
        "configuration base@1: offered once, last at 2026-03-04T05:06:07Z; "
        "it tried and could not; offered again at 2026-03-04T05:16:07Z"
    )
    late = explain(replace(made, config=Offered(CONFIG.digest, 3, NOW)), PLAN, NOW + timedelta(days=2))[1]
    assert "offered 3 times" in late
    assert late.endswith("offered again with the next message")


def test_no_retry_is_promised_that_an_agent_may_not_make() -> None:
    """Offered again is not tried again: an agent may remember what failed, and ours does."""
    failed = replace(VIEW, packages=a_status(PackageState.FAILED, OFFER))
    away = explain(replace(SESSION, view=failed), PLAN, NOW)[0]
    made = replace(SESSION, view=failed, offered=Offered(OFFER.hash, 1, NOW))
    for sentence in (away, explain(made, PLAN, NOW)[0]):
        assert "offered again" in sentence
        assert "it may remember that it failed these very bytes (quartermaster-agent does" in sentence
        assert sentence.endswith("before it was assigned another release")
    assert "may remember" not in explain(SESSION, PLAN, NOW)[0]


def test_what_is_left_out_is_said_beside_what_is_due() -> None:
    """The reason is that of whoever decided."""
    plan = replace(PLAN, connections=replace(SETTINGS, left_out="nothing is told of x: it is behind y"))
    assert explain(SESSION, plan, NOW)[2] == (
        "connection settings: offered with the next message; nothing is told of x: it is behind y"
    )
