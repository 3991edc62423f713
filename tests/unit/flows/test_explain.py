"""Explaining one agent: from the values that decide what it is offered, in sentences."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.domain.agent import (
    AgentView,
    Capability,
    Description,
    PackageReport,
    PackagesReport,
    PackageState,
    Plan,
    Report,
)
from distribution.domain.configuration import (
    Agreement,
    ConfigObject,
    ConfigState,
    ConfigStatus,
    EffectiveSeen,
    RemoteConfig,
)
from distribution.domain.connections import ConnectionSet, ConnectionState, ConnectionStatus
from distribution.domain.liveness import Liveness
from distribution.errors import PolicyError, UnknownError
from distribution.fleet.registry import Registry
from distribution.flows.commands import Commands
from distribution.flows.enrol import Caller
from distribution.flows.exchange import Talk
from distribution.flows.explain import Explanation, explanation
from keys.certificate import Reason
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, new_key
from tests.fakes.exchanges import exchange_at
from tests.fakes.offers import an_offer

ABLE = Capability.ACCEPTS_PACKAGES | Capability.ACCEPTS_REMOTE_CONFIG | Capability.ACCEPTS_RESTART
HERE = Description({}, {"os.type": "linux", "host.arch": "amd64"})


class Scene:
    """One agent, and what the server wants of it."""

    def __init__(self, work: AtWork) -> None:
        self.work = work
        self.plan = Plan(None, 30, "no channel applies to the agent's labels")
        self.error: Exception | None = None
        self.commands = Commands()
        self.registry = Registry(work.database, work.admission.labels_of)
        self.exchange = exchange_at(work, self.registry, self._plan_for, commands=self.commands)
        issued = work.enroll(new_key(), agent(1), work.token())
        self.caller = Caller(serial=issued.serial, claimed=agent(1))
        self.ends = issued.not_after

    def _plan_for(self, _view: AgentView) -> Plan:
        if self.error is not None:
            raise self.error
        return self.plan

    def talk(self, **said: object) -> Talk:
        """Let the agent connect and say something."""
        talk = self.exchange.open(self.caller)
        report = Report(agent(1).uuid, 0, ABLE, description=HERE)
        self.exchange.hear(talk, replace(report, **said))  # type: ignore[arg-type] # any part
        return talk

    def explain(self) -> Explanation:
        work = self.work
        return explanation(
            self.exchange, self.registry, work.admission, work.database, agent(1), now=work.clock()
        )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with at_work(tmp_path) as work:
        yield Scene(work)


def test_a_stranger_is_not_explained(scene: Scene) -> None:
    """Nothing is made up of an agent that nobody knows."""
    with pytest.raises(UnknownError, match=str(agent(1))):
        scene.explain()


def test_an_agent_that_was_never_heard(scene: Scene) -> None:
    """It is waited for since it was let in, and what is due waits with it."""
    scene.registry.introduce(agent(1))
    found = scene.explain()
    assert found.live is Liveness.GONE
    assert found.holds[0] == "never heard: it is enrolled since 2026-06-01T12:00:00Z"
    assert found.why[0] == "it is not connected: whatever is due waits for its first message"
    scene.talk()
    assert scene.explain().holds[0] == "connected, last heard at 2026-06-01T12:00:00Z"


def test_why_nothing_is_offered(scene: Scene) -> None:
    """The reason is the one that deciding gave, be it a plan without an offer or an error."""
    scene.talk()
    found = scene.explain()
    assert (found.live, found.wants) == (Liveness.CONNECTED, ("nothing",))
    assert found.why[0] == "packages: nothing is offered, because no channel applies to the agent's labels"
    scene.error = PolicyError("channels 'a' and 'b' both ship package 'otelcol'")
    assert "channels 'a' and 'b' both ship" in scene.explain().why[0]


def test_an_offer_that_was_made_and_when_it_is_made_again(scene: Scene) -> None:
    """The live conversation is asked, so the times are those of the next message."""
    scene.plan = Plan(an_offer("1.0.0"), 30)
    scene.talk()
    found = scene.explain()
    assert found.wants[0].startswith("package otelcol 1.0.0 (")
    assert "offered once, last at" in found.why[0]
    assert "it did not say that it took it up; offered again at" in found.why[0]


def test_asking_moves_nothing(scene: Scene) -> None:
    """Two questions have the same answer, and the conversation is as it was."""
    scene.plan = Plan(an_offer("1.0.0"), 30)
    talk = scene.talk()
    before = talk.session
    assert scene.explain() == scene.explain()
    assert talk.session is before


def test_an_agent_that_is_away(scene: Scene) -> None:
    """What is due waits for it; what it is to have is said all the same."""
    scene.plan = Plan(an_offer("1.0.0"), 30)
    scene.exchange.leave(scene.talk())
    scene.commands.give(agent(1), scene.work.clock())
    found = scene.explain()
    assert found.live is Liveness.STALE
    assert found.why[0] == "it is not connected: whatever is due waits until it is heard again"
    assert found.wants[-1] == "a restart"
    assert found.why[1] == "packages: offered with the next message"


def test_an_agent_that_nothing_lets_in(scene: Scene) -> None:
    """After a revocation no offer will ever reach it, and that comes first."""
    scene.exchange.leave(scene.talk())
    scene.work.authority.revoke(
        agent(1), Reason.UNSPECIFIED, ban=False, actor="operator:x", now=scene.work.clock()
    )
    why = scene.explain().why[0]
    assert why.startswith(
        "nothing lets it in: its credentials were revoked at 2026-06-01T12:00:00Z by operator:x"
    )


def test_a_bearer_token_whose_time_is_over(scene: Scene) -> None:
    """It is named, with what makes another."""
    bearer = agent(3)
    scene.work.bearer(bearer, "b3")
    scene.registry.introduce(bearer)
    scene.work.clock.advance(timedelta(days=31))
    work = scene.work
    why = explanation(
        scene.exchange, scene.registry, work.admission, work.database, bearer, now=work.clock()
    ).why[0]
    assert why.startswith("nothing lets it in: bearer token b3, which ended at ")
    assert why.endswith(f"; `agents token create {bearer}` makes another")


def test_an_agent_whose_certificate_ended(scene: Scene) -> None:
    """A host that was off for too long, or whose certificate nobody renewed, waits in vain; that is said."""
    scene.exchange.leave(scene.talk())
    scene.work.clock.now = scene.ends
    ended = f"current certificate {scene.caller.serial}, which ended at {scene.ends:%FT%TZ}"
    found = scene.explain()
    helps = f"`agents certify` signs another request of it, `agents reset {agent(1)}` lets it enroll anew"
    assert found.why[0] == f"nothing lets it in: {ended}; {helps}"
    assert found.holds[-1] == ended
    scene.work.bearer(agent(1), "b1", new=False)
    later = scene.explain()
    assert "nothing lets it in" not in later.why[0]
    assert later.holds[-1].startswith("bearer token b1, good until ")
    scene.work.clock.advance(timedelta(days=31))
    assert "and bearer token b1, which ended at" in scene.explain().why[0]


def test_an_agent_behind_a_gateway_comes_in_by_the_gateways_certificate(scene: Scene) -> None:
    """It holds nothing of its own; when the gateway's certificate ends, nothing lets it in."""
    scene.work.gateway(agent(1))
    scene.work.grants.admit(agent(1), agent(2), {}, "operator:ann", scene.work.clock())

    def explain() -> Explanation:
        admission, now = scene.work.admission, scene.work.clock()
        return explanation(scene.exchange, scene.registry, admission, scene.work.database, agent(2), now=now)

    scene.registry.keep(replace(scene.registry.view(agent(2)), last_seen=scene.work.clock()))
    assert explain().holds[-1] == f"no credential of its own: gateway {agent(1)} speaks for it"
    assert "nothing lets it in" not in explain().why[0]
    scene.work.clock.now = scene.ends
    assert explain().why[0].startswith("nothing lets it in: current certificate ")


def test_all_that_it_holds_is_said_in_its_words(scene: Scene) -> None:
    """Packages, configuration, what is really in effect, connections."""
    config = RemoteConfig({"main": ConfigObject(b"x")}, "base@3")
    connections = ConnectionSet(names={"own_metrics": "metrics"})
    scene.plan = Plan(None, 30, config=config, connections=connections)
    failed = PackageReport("otelcol", PackageState.FAILED, "1.0.0", error="exit 1")
    talk = scene.talk(
        packages=PackagesReport((failed,)),
        config_status=ConfigStatus(ConfigState.FAILED, b"h", "bad yaml"),
        connection_status=ConnectionStatus(ConnectionState.FAILED, b"h", "no route"),
    )
    assert talk.session is not None
    seen = EffectiveSeen(b"d", Agreement.DIFFERS, config.digest, "receivers differ")
    scene.registry.keep(replace(talk.session.view, effective=seen))
    found = scene.explain()
    assert found.wants == ("configuration base@3: 'main'", "connection settings metrics")
    assert found.holds[1:] == (
        "health: unknown",
        "package otelcol 1.0.0, failed: exit 1",
        "configuration failed: bad yaml",
        "effective configuration differs: receivers differ",
        "connection settings failed: no route",
        f"current certificate {scene.caller.serial}, good until {scene.ends:%FT%TZ}",
    )
