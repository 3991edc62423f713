"""Heartbeats on the short way, beside what the long way would have made of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import AgentView, Capability, Description, Plan, Report
from distribution.domain.liveness import USUAL, Liveness
from distribution.fleet.registry import Registry
from distribution.flows.decided import PLAN_FOR
from distribution.flows.enrol import Caller
from distribution.flows.talk import Talk
from distribution.protocol.pacing import AGAIN_FIRST
from distribution.protocol.reports import from_websocket
from distribution.protocol.wire import WS_HEADER, encode_ws
from keys.certificate import Reason
from keys.errors import NotAdmittedError
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, new_key
from tests.fakes.exchanges import exchange_at
from tests.fakes.offers import an_offer

ABLE = Capability.REPORTS_STATUS | Capability.REPORTS_HEARTBEAT | Capability.ACCEPTS_PACKAGES
HERE = Description({}, {"os.type": "linux", "host.arch": "amd64"})


class Scene:
    """An exchange, and one agent that has said everything."""

    def __init__(self, work: AtWork) -> None:
        self.work = work
        self.plan = Plan(None, 30)
        self.registry = Registry(work.database, work.admission.labels_of)
        self.exchange = exchange_at(work, self.registry, lambda _view: self.plan)
        issued = work.enroll(new_key(), agent(1), work.token())
        self.caller = Caller(serial=issued.serial, claimed=issued.agent, remote="192.0.2.1:5")

    def greeted(self) -> Talk:
        talk = self.exchange.open(self.caller)
        talk.prefix = WS_HEADER
        self.exchange.hear(talk, Report(agent(1).uuid, 1, ABLE, description=HERE))
        return talk

    def beat(self, talk: Talk, sequence: int) -> bool:
        return self.exchange.beat(talk, payload(sequence))

    def view(self) -> AgentView:
        return self.registry.find(agent(1))


def payload(sequence: int, capabilities: Capability = ABLE, who: int = 1) -> bytes:
    return encode_ws(
        opamp_pb2.AgentToServer(
            instance_uid=agent(who).raw, sequence_num=sequence, capabilities=int(capabilities)
        )
    )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with at_work(tmp_path) as work:
        yield Scene(work)


def test_heartbeats_leave_what_the_long_way_leaves(scene: Scene) -> None:
    """After any number of them, session and view are those that reading each message leads to."""
    short, long = scene.greeted(), scene.greeted()
    for sequence in range(2, 300):
        scene.work.clock.advance(timedelta(seconds=0.1))
        assert scene.beat(short, sequence)
        scene.exchange.hear(long, from_websocket(payload(sequence)))
        assert short.session == long.session
    assert short.session is not None
    assert short.session.view.last_seen == scene.work.clock() == scene.view().last_seen


def test_heartbeat_is_seen_in_the_fleet(scene: Scene) -> None:
    """An agent that sends nothing but heartbeats does not fall silent, and is seen at once."""
    talk = scene.greeted()
    for sequence in range(2, 8):
        scene.work.clock.advance(USUAL.beat)
        if not scene.beat(talk, sequence):
            scene.exchange.hear(talk, from_websocket(payload(sequence)))
        scene.registry.sweep(scene.work.clock())
        assert scene.view().last_seen == scene.work.clock()
        assert scene.registry.live(agent(1)) is Liveness.CONNECTED


@pytest.mark.parametrize(
    "other",
    [
        payload(3),
        payload(1),
        payload(2, Capability.REPORTS_STATUS),
        payload(2, who=2),
        payload(2)[1:],
        payload(2) + b"\x30\x00",
        b"",
    ],
    ids=["gap", "again", "capabilities", "another agent", "no header", "more", "nothing"],
)
def test_any_other_message_is_to_be_read(scene: Scene, other: bytes) -> None:
    """It is not taken, and changes nothing."""
    talk = scene.greeted()
    before = talk.session
    assert not scene.exchange.beat(talk, other)
    assert talk.session == before
    assert scene.beat(talk, 2)


def test_a_revoked_agents_heartbeat_is_not_taken(scene: Scene) -> None:
    """Each is admitted for itself: the first after the revocation is refused on the long way."""
    talk = scene.greeted()
    assert scene.beat(talk, 2)
    scene.work.authority.revoke(agent(1), Reason.KEY_COMPROMISE, "test", scene.work.clock())
    assert not scene.beat(talk, 3)
    with pytest.raises(NotAdmittedError):
        scene.exchange.hear(talk, from_websocket(payload(3)))


def test_an_ended_certificates_heartbeat_is_not_taken(scene: Scene) -> None:
    """From the second its certificate ends, also within a minute of a plan."""
    talk = scene.greeted()
    assert talk.admitted is not None
    scene.work.clock.advance(talk.admitted.not_after - scene.work.clock() - timedelta(seconds=1))
    scene.exchange.hear(talk, from_websocket(payload(2)))
    assert scene.beat(talk, 3)
    scene.work.clock.advance(timedelta(seconds=1))
    assert not scene.beat(talk, 4)


@pytest.mark.parametrize("passed", [PLAN_FOR, -timedelta(minutes=1)], ids=["later", "set back"])
def test_plan_is_decided_again_in_time(scene: Scene, passed: timedelta) -> None:
    """A heartbeat when the plan is old, or from a time to come, goes the long way, which decides it again."""
    talk = scene.greeted()
    scene.work.clock.advance(passed)
    assert not scene.beat(talk, 2)
    scene.exchange.hear(talk, from_websocket(payload(2)))
    assert scene.beat(talk, 3)


def test_a_changed_plan_closes_the_short_way(scene: Scene) -> None:
    """The first message after it is read; then heartbeats are short until the offer is due again."""
    talk = scene.greeted()
    scene.plan = replace(scene.plan, offer=an_offer())
    assert scene.exchange.replan(talk) is not None
    assert not scene.beat(talk, 2)
    scene.exchange.hear(talk, from_websocket(payload(2)))
    assert scene.beat(talk, 3)
    scene.work.clock.advance(AGAIN_FIRST)
    assert not scene.beat(talk, 4)
    assert scene.exchange.hear(talk, from_websocket(payload(4))).reply.offer == scene.plan.offer


def test_an_agent_that_was_given_up_is_read(scene: Scene) -> None:
    """Its next message is what makes it connected again."""
    talk = scene.greeted()
    entry = scene.registry._entries[agent(1).uuid]
    entry.live = Liveness.STALE
    assert not scene.beat(talk, 2)
    scene.exchange.hear(talk, from_websocket(payload(2)))
    assert scene.registry.live(agent(1)) is Liveness.CONNECTED


def test_admission_that_was_given_anew_opens_the_short_way_again(scene: Scene) -> None:
    """The ledger was read again: one message is read, then heartbeats are short again."""
    talk = scene.greeted()
    scene.work.admission.refresh(agent(1))
    assert not scene.beat(talk, 2)
    scene.exchange.hear(talk, from_websocket(payload(2)))
    assert scene.beat(talk, 3)


def test_nobody_beats_before_he_was_heard(scene: Scene) -> None:
    """A fresh conversation has no short way, nor has one without a session."""
    talk = scene.exchange.open(scene.caller)
    assert not scene.beat(talk, 1)
    assert not talk.take_beat(scene.work.clock())
    bare = Talk(Caller(token="t"), None)
    assert bare.session is None
    assert not scene.exchange.beat(bare, payload(1))
