"""Random stories of one agent, told twice.

Once heartbeats may come the short way, and wake-ups are decided for all agents that stand alike: there is a
second agent, which says most of what the first one says, and is woken before it. Once every message is read,
and every wake-up is decided by itself. The first telling has two forms: each agent's plan is decided, or that
of its kind.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distribution.domain.agent import (
    AgentView,
    Capability,
    Description,
    Plan,
    Report,
)
from distribution.domain.configuration import (
    Agreement,
    EffectiveSeen,
)
from distribution.domain.liveness import Liveness
from distribution.domain.terms import Terms
from distribution.fleet.changes import Entry
from distribution.fleet.registry import Registry
from distribution.flows.commands import Commands
from distribution.flows.enrol import Caller
from distribution.flows.talk import Talk
from distribution.protocol.beats import Beat
from distribution.protocol.effects import Effect, ExamineAgain
from distribution.protocol.offers import Reply, for_websocket
from distribution.protocol.pacing import NEVER
from distribution.protocol.reports import from_websocket
from distribution.protocol.wire import WS_HEADER
from distribution.transport.fanout import Fanout
from distribution.transport.frames import binary_frame
from keys.errors import NotAdmittedError
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import NOW, agent, new_key
from tests.fakes.exchanges import exchange_at
from tests.fakes.story_parts import CONFIG, PLANS, WORDS

UID: Final = agent(1).uuid
TERMS: Final = Terms("wss://a.example/v1/opamp", "https://d.example", "")
ABLE: Final = (
    Capability.REPORTS_STATUS
    | Capability.REPORTS_HEARTBEAT
    | Capability.ACCEPTS_PACKAGES
    | Capability.ACCEPTS_REMOTE_CONFIG
    | Capability.REPORTS_REMOTE_CONFIG
)
ABILITIES: Final = (ABLE, ABLE | Capability.REPORTS_CONNECTION_STATUS | Capability.ACCEPTS_RESTART)
HERE: Final = Description({}, {"os.type": "linux", "host.arch": "amd64"})


class Side:
    """One of the two tellings: an exchange, and a talk with the agent."""

    def __init__(self, work: AtWork, *, short: bool, kinds: bool = False) -> None:
        self.work, self.short = work, short
        self.plan = PLANS[0]
        self.decided = 0
        self.commands = Commands()
        self.registry = Registry(work.database, work.admission.labels_of)
        self.exchange = exchange_at(
            work,
            self.registry,
            self._plan_for,
            commands=self.commands,
            as_of=self._as_of if kinds else None,
        )
        self.talk, self.twin = self.opened(1), self.opened(2)
        self.fanout = Fanout()
        self.beaten = self.shared = 0
        self.bare = for_websocket(Reply(UID), TERMS)

    def _plan_for(self, view: AgentView) -> Plan:
        self.decided += 1
        return PLANS[2] if "apart" in view.labels else self.plan

    def _as_of(self) -> int | None:
        return None if self.plan.config else PLANS.index(self.plan)

    def opened(self, number: int) -> Talk:
        """Return a fresh talk."""
        serial = self.work.admission.serials_of(agent(number))[0]
        talk = self.exchange.open(Caller(serial=serial, claimed=agent(number), remote="192.0.2.1:5"))
        talk.prefix = WS_HEADER
        return talk

    def takes(self, payload: bytes) -> tuple[bytes, tuple[Effect, ...]]:
        """Take a message; return what is answered, and what else it leads to."""
        if self.short and self.exchange.beat(self.talk, payload):
            self.beaten += 1
            return self.bare, ()
        return self.hears(from_websocket(payload))

    def hears(self, report: Report) -> tuple[bytes, tuple[Effect, ...]]:
        """Read a message; who has no short way takes none within the step either."""
        before = self.talk.session
        if not self.short and before is not None:
            self.talk.session = replace(before, settled=None)
        elif report.packages is None or report.sequence % 2:
            self.exchange.hear(self.twin, replace(report, uid=agent(2).uuid))
        try:
            turn = self.exchange.hear(self.talk, report)
        except NotAdmittedError as exc:
            self.talk.session = before
            return str(exc).encode(), ()
        return for_websocket(turn.reply, TERMS), turn.effects

    def wakes(self) -> tuple[bytes, tuple[Effect, ...]]:
        """Be woken; return what is pushed."""
        if self.short:
            if self.exchange.waking.alike(self.twin) is None:
                self.exchange.replan(self.twin)
            found = self.exchange.waking.alike(self.talk)
            if found is not None:
                self.shared += found.reply.uid != UID
                return b"" if found.bare else self.fanout.frame(found.reply, UID, TERMS), ()
        turn = self.exchange.replan(self.talk)
        if turn is None:
            return b"", ()
        return b"" if turn.reply.bare else binary_frame(for_websocket(turn.reply, TERMS)), turn.effects

    @property
    def stands(self) -> tuple[object, ...]:
        """All that is known now; since when nothing is due is not told of the long way, which always asks."""
        session = self.talk.session
        assert session is not None
        _, plan = self.exchange.standing_of(self.registry.find(agent(1)))
        return (
            replace(session, quiet_from=NEVER),
            self.talk.plan,
            plan,
            self.registry.find(agent(1)),
            self.registry.live(agent(1)),
        )


class Story:
    """Both tellings, side by side: every act leads to the same words, effects and state in both."""

    def __init__(self, work: AtWork, *, kinds: bool) -> None:
        work.clock.now = NOW
        work.admission.refresh(agent(1))
        self.work = work
        self.sides = Side(work, short=True, kinds=kinds), Side(work, short=False)
        self.able, self.sequence = ABILITIES[0], 1
        self.both(lambda side: side.hears(Report(UID, 1, self.able, description=HERE)))

    def both(self, act: Callable[[Side], object]) -> None:
        short, long = self.sides
        assert act(short) == act(long)
        assert short.stands == long.stands

    def says(self, **said: object) -> None:
        self.sequence += 1
        report = replace(Report(UID, self.sequence, self.able), **said)  # type: ignore[arg-type] # any part
        self.both(lambda side: side.hears(report))

    def tell(self, act: str, number: int) -> None:
        match act:
            case "beat":
                self.sequence += 1
                beat = Beat(UID, self.able, WS_HEADER).numbered(self.sequence)
                self.both(lambda side: side.takes(beat))
            case "wait":
                self.work.clock.advance(timedelta(seconds=number))
            case "plan":
                for side in self.sides:
                    side.plan = PLANS[number]
            case "wake":
                self.both(Side.wakes)
            case "said":
                self.says(**WORDS[number])
            case "labels":
                self.labels(number // 2 + 1, apart=number % 2 == 0)
            case "changed":
                self.able = ABILITIES[number % 2]
                self.sequence += number // 2
                self.says(description=HERE if number % 3 else None)
            case _:
                self.happens(act)

    def labels(self, number: int, *, apart: bool) -> None:
        """An operator says to which agents other plans apply; the agent hears of it by the next wake-up."""
        for side in self.sides:
            given = {"apart": "yes"} if apart else {}
            uid = agent(number).uuid
            side.registry._entries.setdefault(uid, Entry(uid)).labels = given
            side.registry.labelled += 1

    def happens(self, act: str) -> None:
        """Something that is no word of the agent's."""
        if act == "restart":
            for side in self.sides:
                side.commands.give(agent(1), self.work.clock())
            self.both(Side.wakes)
        elif act == "dropped":
            self.work.admission.drop(agent(1))
        elif act == "admitted":
            self.work.admission.refresh(agent(1))
        for side in self.sides:
            if act == "stale":
                side.registry._entries[UID].live = Liveness.STALE
            elif act == "seen":
                seen = EffectiveSeen(b"e" * 32, Agreement.DIFFERS, CONFIG.digest, "why")
                side.exchange.aftermath.absorb(side.talk, ExamineAgain(CONFIG), seen, here=True)


ACTS: Final = st.one_of(
    st.tuples(st.just("beat"), st.just(0)),
    st.tuples(st.just("beat"), st.just(0)),
    st.tuples(st.just("wait"), st.sampled_from([-4000, -1, 1, 10, 59, 60, 61, 119, 120, 600, 1800, 7200])),
    st.tuples(st.just("plan"), st.integers(0, len(PLANS) - 1)),
    st.tuples(st.just("said"), st.integers(0, len(WORDS) - 1)),
    st.tuples(st.just("changed"), st.integers(0, 5)),
    st.tuples(st.just("labels"), st.integers(0, 3)),
    st.tuples(
        st.sampled_from(["wake", "restart", "stale", "seen", "dropped", "admitted"]),
        st.just(0),
    ),
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtWork]:
    with at_work(tmp_path_factory.mktemp("work")) as made:
        for number in (1, 2):
            made.enroll(new_key(), agent(number), made.token(f"t{number}"))
        yield made


DECIDED: Final = pytest.mark.parametrize("decided", ["singly", "by kind"])


@DECIDED
@settings(max_examples=150, deadline=None)
@given(acts=st.lists(ACTS, max_size=60))
def test_short_way_and_long_way_are_one(work: AtWork, decided: str, acts: list[tuple[str, int]]) -> None:
    """Whatever happens to an agent, what is spared makes no difference, then or later."""
    story = Story(work, kinds=decided == "by kind")
    for act, number in acts:
        story.tell(act, number)


@DECIDED
@pytest.mark.parametrize("plan", PLANS[1:])
def test_an_agent_with_an_offer_open_beats_the_short_way_until_something_is_due(
    work: AtWork, plan: Plan, decided: str
) -> None:
    """Of 600 heartbeats in ten minutes only those are read at which the plan is old, or something is due."""
    story = Story(work, kinds=decided == "by kind")
    for side in story.sides:
        side.plan = plan
    story.tell("wake", 0)
    for _ in range(600):
        story.tell("beat", 0)
        story.tell("wait", 1)
    assert 580 < story.sides[0].beaten < 600


@DECIDED
def test_agents_that_stand_alike_are_decided_once(work: AtWork, decided: str) -> None:
    """From its second wake-up on, an agent is told what was decided for its twin, beats between or not."""
    story = Story(work, kinds=decided == "by kind")
    for number in (1, 2, 3, 1, 0, 2):
        story.tell("plan", number)
        story.tell("wake", 0)
        story.tell("beat", 0)
        story.tell("wait", 10)
    assert story.sides[0].shared >= 3
