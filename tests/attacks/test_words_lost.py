"""What an agent said was acknowledged, so it must not be lost: neither to an outage nor to a reconnect."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import Capability, Components, Plan
from distribution.domain.attempts import numbered
from distribution.domain.config_standing import Standing, standing_of
from distribution.domain.configuration import ConfigState, ConfigStatus
from distribution.errors import BusyError
from distribution.fleet import documents
from distribution.fleet.documents import Kind
from distribution.flows.orders import Outcome
from distribution.flows.talk import Talk
from distribution.protocol.effects import Effect, Examine, ExamineAgain, KeepComponents
from distribution.protocol.session import Turn
from keys.identity import AgentId
from storage.errors import UnavailableError
from tests.fakes.authority import at_work
from tests.fakes.besieged_agent import wait_until
from tests.fakes.certificates import agent
from tests.fakes.configured import intended
from tests.fakes.listening import Listening, listening
from tests.fakes.offers import an_offer
from tests.fakes.wire_client import description, said, tell, websocket
from tests.unit.flows.test_exchange import HERE, Scene
from tests.unit.flows.test_exchange import said as report

CONFIG = intended(_="a: 1")
ABLE = (
    Capability.REPORTS_STATUS
    | Capability.ACCEPTS_REMOTE_CONFIG
    | Capability.REPORTS_REMOTE_CONFIG
    | Capability.REPORTS_EFFECTIVE_CONFIG
    | Capability.REPORTS_COMPONENTS
)
APPLIED = ConfigStatus(ConfigState.APPLIED, numbered(CONFIG.digest, 1))
LISTED = Components(b"h" * 32, '{"x":{}}')
AWAY = UnavailableError("database is away")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with at_work(tmp_path) as work:
        found = Scene(work)
        found.plan = Plan(None, 30, config=CONFIG)
        yield found


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


def begun(scene: Scene) -> Talk:
    """Return the conversation of an agent that has said what it is."""
    talk = scene.talk()
    scene.exchange.hear(talk, report(0, description=HERE, capabilities=ABLE))
    return talk


def reported(scene: Scene, talk: Talk, sequence: int) -> Turn:
    """Have it say that it runs what it is to run, and what it could run."""
    words = {"config_status": APPLIED, "effective": dict(CONFIG.objects), "components": LISTED}
    return scene.exchange.hear(talk, report(sequence, capabilities=ABLE, **words))


def came_to(scene: Scene, talk: Talk, turn: Turn, outcome: Outcome) -> list[type[Effect]]:
    """Have every effect come to this; return what they were."""
    for effect in turn.effects:
        scene.exchange.aftermath.absorb(talk, effect, outcome, here=True)
    return [type(effect) for effect in turn.effects]


@pytest.mark.parametrize("failure", [AWAY, BusyError("too many orders wait")], ids=["away", "busy"])
def test_what_could_not_be_kept_is_asked_for_again(scene: Scene, failure: Exception) -> None:
    """Soon, and not at once again and again: it would say everything for nothing."""
    talk = begun(scene)
    assert came_to(scene, talk, reported(scene, talk, 1), failure) == [Examine, KeepComponents]
    asked = []
    for sequence in range(2, 8):
        scene.work.clock.advance(timedelta(seconds=30))
        asked.append(scene.exchange.hear(talk, report(sequence, capabilities=ABLE)).reply.full_state)
    assert asked[:2] == [False, False], "it was asked while the database is hardly back"
    assert any(asked)
    everything = {"description": HERE, "config_status": APPLIED, "components": replace(LISTED, listed=None)}
    turn = scene.exchange.hear(
        talk, report(8, capabilities=ABLE, effective=dict(CONFIG.objects), **everything)
    )
    assert [type(effect) for effect in turn.effects] == [Examine]
    assert turn.reply.components, "the list is lost, and nobody asks for it"


def test_packages_wait_for_no_examination(scene: Scene) -> None:
    """That an effective configuration was lost says nothing about packages."""
    talk = begun(scene)
    came_to(scene, talk, reported(scene, talk, 1), AWAY)
    scene.plan = Plan(an_offer(), 30, config=CONFIG)
    scene.exchange.waking.forget_plan(talk)
    accepts = ABLE | Capability.ACCEPTS_PACKAGES
    assert scene.exchange.hear(talk, report(2, capabilities=accepts)).reply.offer == an_offer()


def test_components_are_known_when_they_are_written_down(scene: Scene) -> None:
    """Not before: after a crash in between, the list would never be asked for."""
    talk = begun(scene)
    turn = reported(scene, talk, 1)
    assert scene.registry.find(agent(1)).components is None
    came_to(scene, talk, turn, Components(LISTED.hash))
    assert scene.registry.find(agent(1)).components == Components(LISTED.hash)


def test_what_is_to_be_compared_and_is_not_there_is_asked_for_once(scene: Scene) -> None:
    """It says applied, and nothing that it reported before was ever kept."""
    talk = begun(scene)
    turn = scene.exchange.hear(talk, report(1, capabilities=ABLE, config_status=APPLIED))
    assert came_to(scene, talk, turn, None) == [ExamineAgain]
    assert scene.exchange.hear(talk, report(2, capabilities=ABLE)).reply.full_state
    mute = report(3, capabilities=ABLE, description=HERE, config_status=APPLIED)
    assert came_to(scene, talk, scene.exchange.hear(talk, mute), None) == [ExamineAgain]
    scene.work.clock.advance(timedelta(minutes=10))
    assert not scene.exchange.hear(talk, report(4, capabilities=ABLE)).reply.full_state


def test_who_says_nothing_is_asked_on_his_own_connection(scene: Scene) -> None:
    """An agent without heartbeats has no next message to be asked with."""
    talk = begun(scene)
    assert scene.exchange.aftermath.ask_again(talk) is None
    came_to(scene, talk, reported(scene, talk, 1), AWAY)
    assert scene.exchange.aftermath.ask_again(talk) is None
    scene.work.clock.advance(timedelta(minutes=5))
    question = scene.exchange.aftermath.ask_again(talk)
    assert question is not None
    assert question.full_state
    assert scene.exchange.aftermath.ask_again(talk) is None, "it was asked a moment ago"


def able(who: AgentId, sequence: int, **parts: object) -> opamp_pb2.AgentToServer:
    """Return a message of an agent that reports what it runs."""
    message = said(who, sequence, **parts)
    message.capabilities = int(ABLE)
    return message


def applied(body: bytes) -> dict[str, object]:
    """Return what an agent says that runs this, as it is to."""
    effective = opamp_pb2.EffectiveConfig()
    effective.config_map.config_map[""].body = body
    effective.config_map.config_map[""].content_type = "text/yaml"
    status = opamp_pb2.RemoteConfigStatus(
        last_remote_config_hash=APPLIED.hash, status=opamp_pb2.RemoteConfigStatuses_APPLIED
    )
    return {"effective_config": effective, "remote_config_status": status}


def test_an_examination_outlives_the_connection(at: Listening) -> None:
    """The agent reconnects while what it reported is still looked at; it does not report it again."""
    at.plans.plan = Plan(None, 30, config=CONFIG)
    identity = at.enrolled()
    with at.examiner.held_up():
        with websocket(at, identity) as connection:
            tell(connection, able(identity.agent, 0, agent_description=description()))
            tell(connection, able(identity.agent, 1, **applied(b"a: 1")))
            assert at.examiner.reached.wait(10)
        wait_until(lambda: not at.hub.is_connected(identity.agent))
    with websocket(at, identity) as connection:
        tell(connection, able(identity.agent, 2))
        wait_until(lambda: standing_of(at.registry.find(identity.agent), CONFIG).standing is Standing.APPLIED)


def test_one_that_ended_meanwhile_is_examined_too(at: Listening) -> None:
    """Nobody is connected when it is done; what was found is known all the same, and he is not."""
    at.plans.plan = Plan(None, 30, config=CONFIG)
    identity = at.enrolled()
    with at.examiner.held_up(), websocket(at, identity) as connection:
        tell(connection, able(identity.agent, 0, agent_description=description(), **applied(b"a: 1")))
        assert at.examiner.reached.wait(10)
        connection.close()
        wait_until(lambda: not at.hub.is_connected(identity.agent))
    wait_until(lambda: at.registry.find(identity.agent).effective is not None)
    assert not at.registry.find(identity.agent).connected
    with at.work.database.read() as connection_:
        assert documents.find(connection_, identity.agent, Kind.EFFECTIVE) is not None
