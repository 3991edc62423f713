"""What a wake-up of many leads to: one decision for each kind, and each agent's own where it differs."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Capability, Description, PackageState, Plan, Report
from distribution.domain.configuration import ConfigObject, RemoteConfig
from distribution.domain.offer import Offer
from distribution.fleet.registry import Registry
from distribution.flows.commands import Commands
from distribution.flows.decided import PLAN_FOR
from distribution.flows.enrol import Caller
from distribution.flows.talk import Talk
from distribution.protocol.alike import Push
from keys.certificate import Passage
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, new_key
from tests.fakes.exchanges import exchange_at
from tests.fakes.offers import a_status, an_offer

ABLE = Capability.REPORTS_STATUS | Capability.ACCEPTS_PACKAGES | Capability.ACCEPTS_RESTART
NEW, NEWER, NEWEST, SLOW = (an_offer(version) for version in ("1.0.0", "1.1.0", "1.2.0", "0.9.0"))


class Fleet:
    """Four agents that said the same, and what they are to have; those of the slow ring have it later."""

    def __init__(self, work: AtWork) -> None:
        self.work = work
        self.offer: Offer = NEW
        self.state: int | None = 1
        self.decided: list[AgentView] = []
        self.plan_for: Callable[[AgentView], Plan] | None = None
        self.commands = Commands()
        self.registry = Registry(work.database, work.admission.labels_of)
        self.exchange = exchange_at(
            work, self.registry, self._plan_for, as_of=lambda: self.state, commands=self.commands
        )
        self.talks = [self.talk(number) for number in range(1, 5)]
        self.decided.clear()

    def _plan_for(self, view: AgentView) -> Plan:
        self.decided.append(view)
        if self.plan_for is not None:
            return self.plan_for(view)
        return Plan(SLOW if view.labels.get("ring") == "slow" else self.offer, 30)

    def talk(self, number: int) -> Talk:
        """Return the talk of an agent that has just said everything, and was offered what it is to have."""
        issued = self.work.enroll(new_key(), agent(number), self.work.token(f"t{number}"))
        caller = Caller(serial=issued.serial, claimed=agent(number), remote="192.0.2.1:5")
        talk = self.exchange.open(caller)
        here = Description({"host.name": f"h{number}"}, {"os.type": "linux", "host.arch": "amd64"})
        report = Report(agent(number).uuid, 1, ABLE, description=here)
        assert self.exchange.hear(talk, report).reply.offer is NEW
        return talk

    def release(self, offer: Offer) -> None:
        """Have a channel point at something else."""
        self.offer, self.state = offer, (self.state or 0) + 1

    def told(self) -> list[Offer | None]:
        """Wake everybody; return what each is told."""
        return [None if found is None else found.reply.offer for found in self.woken()]

    def woken(self) -> list[Push | None]:
        """Wake everybody; return what is decided for each with others."""
        return [self.exchange.waking.alike(talk) for talk in self.talks]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with at_work(tmp_path) as work:
        yield Fleet(work)


def test_a_kind_is_decided_once_and_its_agents_are_told_by_it(fleet: Fleet) -> None:
    """Offer after offer; that the wake-up comes again is no reason to offer again."""
    for offer in (NEWER, NEW, NEWER):
        fleet.release(offer)
        fleet.decided.clear()
        assert fleet.told() == [offer] * 4
        assert len(fleet.decided) == 1
        assert fleet.told() == [None] * 4
        assert [talk.plan and talk.plan.offer for talk in fleet.talks] == [offer] * 4
    kinds = {talk.kind for talk in fleet.talks}
    assert len(kinds) == 1
    assert None not in kinds


def test_who_says_something_between_two_offers_is_of_another_kind(fleet: Fleet) -> None:
    """It downloads, or holds it already: it is told nothing, and the others are."""
    fleet.release(NEWER)
    assert fleet.told() == [NEWER] * 4
    for talk, state, offer in (
        (fleet.talks[1], PackageState.DOWNLOADING, NEWER),
        (fleet.talks[2], PackageState.INSTALLED, NEW),
    ):
        uid = talk.uid
        assert uid is not None
        before = talk.kind
        fleet.exchange.hear(talk, Report(uid, 2, packages=a_status(state, offer)))
        assert talk.kind is not before
    fleet.release(NEW)
    assert fleet.told() == [NEW, None, None, NEW]
    holds = replace(_beat(fleet.talks[1], 3), packages=a_status(PackageState.INSTALLED, NEWER))
    fleet.exchange.hear(fleet.talks[1], holds)
    fleet.work.clock.advance(timedelta(minutes=1))
    fleet.release(NEWER)
    assert fleet.told() == [NEWER, None, NEWER, NEWER]


def test_an_agent_that_failed_it_waits_and_the_others_do_not(fleet: Fleet) -> None:
    """What it could not install is not offered to it again because others are offered it."""
    fleet.release(NEWER)
    fleet.told()
    failing = fleet.talks[0]
    fleet.exchange.hear(failing, replace(_beat(failing, 2), packages=a_status(PackageState.FAILED, NEWER)))
    fleet.release(NEW)
    assert fleet.told() == [NEW] * 4
    fleet.exchange.hear(failing, replace(_beat(failing, 3), packages=a_status(PackageState.FAILED, NEWER)))
    fleet.release(NEWER)
    first, *others = fleet.woken()
    assert [found and found.reply.offer_attempt for found in others] == [1, 1, 1]
    assert first is not None
    assert first.reply.offer_attempt == 2, "known clients pass over a hash that they saw"


def test_a_label_of_one_agent_changes_its_plan_alone(fleet: Fleet) -> None:
    """It is planned by itself once, by its new labels; all others go on as they are, and so does it then."""
    fleet.release(NEWER)
    fleet.told()
    fleet.registry.flush()
    with fleet.work.database.write() as connection:
        fleet.registry.set_labels(connection, agent(2), {"ring": "slow"})
    fleet.registry.relabel([agent(2)])
    fleet.release(NEW)
    assert fleet.told() == [NEW, None, NEW, NEW]
    turn = fleet.exchange.replan(fleet.talks[1])
    assert turn is not None
    assert turn.reply.offer is SLOW
    fleet.release(NEWER)
    fleet.decided.clear()
    assert fleet.told() == [NEWER, None, NEWER, NEWER]
    assert len(fleet.decided) == 2, "two kinds"
    assert fleet.talks[1].plan == Plan(SLOW, 30)


def test_a_configuration_that_comes_meanwhile_is_its_agents_own(fleet: Fleet) -> None:
    """A worker assigns it within a slice: what one agent is to run goes to no other of its kind."""
    fleet.release(NEWER)
    moment = object()

    def plan_for(view: AgentView) -> Plan:
        fleet.state = None
        own = ConfigObject(f"token: {view.uid}".encode(), "text/yaml")
        return Plan(NEWER, 30, config=RemoteConfig({"": own}, "c"))

    fleet.plan_for = plan_for
    assert [fleet.exchange.waking.alike(talk, moment) for talk in fleet.talks] == [None] * 4


def test_an_order_is_its_agents_own_affair(fleet: Fleet) -> None:
    """It is told by itself, and no other agent of its kind hears of it."""
    fleet.told()
    fleet.commands.give(agent(3), fleet.work.clock())
    fleet.release(NEWER)
    assert [found is None for found in fleet.woken()] == [False, False, True, False]
    turn = fleet.exchange.replan(fleet.talks[2])
    assert turn is not None
    assert turn.reply.restart


def test_time_goes_on_for_a_kind(fleet: Fleet) -> None:
    """An offer that is not taken up is made again when it is due, and not to whom it was made later."""
    fleet.release(NEWER)
    late = fleet.talks.pop()
    fleet.told()
    fleet.work.clock.advance(timedelta(seconds=40))
    assert fleet.exchange.waking.alike(late) is not None
    fleet.talks.append(late)
    fleet.work.clock.advance(timedelta(seconds=25))
    assert fleet.told() == [NEWER, NEWER, NEWER, None]
    assert all(talk.planned_at == fleet.work.clock() for talk in fleet.talks)
    fleet.work.clock.advance(PLAN_FOR)
    assert fleet.told() == [None, None, None, NEWER]


def test_a_kind_is_decided_by_one_of_those_that_are_woken(fleet: Fleet) -> None:
    """Never by what was known of one that has gone, which may be somebody else's by now."""
    fleet.release(NEWER)
    fleet.told()
    assert fleet.decided[-1].uid == agent(1).uuid
    fleet.talks.pop(0)
    fleet.release(NEW)
    fleet.decided.clear()
    fleet.told()
    assert [view.uid for view in fleet.decided] == [agent(2).uuid]


def test_within_a_moment_the_clock_is_asked_once(fleet: Fleet) -> None:
    """And whoever is woken in another, or by itself, is told by what is so then."""
    moment, (one, other, third, fourth) = object(), fleet.talks
    fleet.release(NEWER)
    for talk in (one, other):
        found = fleet.exchange.waking.alike(talk, moment)
        assert found is not None
        assert found.reply.offer is NEWER
        fleet.release(NEWEST)
        fleet.work.clock.advance(timedelta(seconds=1))
    for talk, at in ((third, object()), (fourth, None)):
        found = fleet.exchange.waking.alike(talk, at)
        assert found is not None
        assert (found.reply.offer, talk.planned_at) == (NEWEST, fleet.work.clock())
    assert other.planned_at < fleet.work.clock()


def test_where_plans_are_each_agents_own_each_is_decided(fleet: Fleet) -> None:
    """And they are of their kinds again once they are not."""
    fleet.release(NEWER)
    fleet.state = None
    assert fleet.told() == [NEWER] * 4
    assert len(fleet.decided) == 4
    fleet.state = 7
    fleet.offer = NEW
    fleet.decided.clear()
    assert fleet.told() == [NEW] * 4
    assert len(fleet.decided) == 1


def test_who_does_not_speak_for_itself_is_of_no_kind(fleet: Fleet) -> None:
    """What a gateway brings is decided by itself."""
    talk = fleet.talks[0]
    talk.session = talk.session
    talk.caller = replace(talk.caller, passage=Passage(agent(1), agent(9)))
    fleet.release(NEWER)
    assert fleet.exchange.waking.alike(talk) is None
    assert talk.kind is None


def _beat(talk: Talk, number: int) -> Report:
    assert talk.uid is not None
    return Report(talk.uid, number)
