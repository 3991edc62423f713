"""Connection settings of agents that do not say what became of them, across restarts of the server."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Capability, Description, Plan, Report
from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import ConnectionOffer, Destination
from distribution.domain.terms import Terms
from distribution.fleet.registry import Registry
from distribution.flows.connections import ConnectionBoard, set_setting
from distribution.flows.enrol import Caller
from distribution.flows.equip import Equipper
from distribution.flows.explain import explanation
from distribution.flows.orders import Order
from distribution.flows.talk import Talk
from distribution.protocol.pacing import AGAIN_FIRST
from keys.sealing import Seal, new_seal_key
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, csr, new_key, small_ca
from tests.fakes.exchanges import exchange_at
from tests.fakes.live_connections import LiveConnections

SEAL = Seal([new_seal_key().strip()], "test")
WHO = agent(1)
SUPERVISOR = Capability(32231)
"""What the upstream supervisor says that it can do, with everything on: it reports no connection status."""
TERMS = Terms("wss://fleet.example:4320/v1/opamp", "https://fleet.example:4321", small_ca().root_pem)
BEAT = Setting("beat", Kind.OPAMP, heartbeat_seconds=7)
LOGS = Setting("logs", Kind.LOGS, destination=Destination("https://otlp.example:4318/v1/logs"))


class Server:
    """A server on a database; another one on the same database is that server after a restart."""

    def __init__(self, work: AtWork, caller: Caller) -> None:
        self._work, self._caller = work, caller
        self._board = ConnectionBoard(
            work.database, SEAL, work.admission.speaker_for, work.admission.is_certified
        )
        self._board.reload()
        self.registry = Registry(work.database, work.admission.labels_of)
        self.exchange = exchange_at(
            work, self.registry, self._plan_for, equipper=Equipper(work.database, TERMS)
        )

    def _plan_for(self, view: AgentView) -> Plan:
        return Plan(None, 30, connections=self._board.connections_for(view))

    def put(self, setting: Setting) -> None:
        now = self._work.clock()
        set_setting(self._work.database, LiveConnections(), setting, seal=SEAL, actor="operator:ann", now=now)
        self._board.reload()

    def connect(self) -> tuple[Talk, list[ConnectionOffer]]:
        """Let the agent connect anew and say everything; return what it is offered."""
        talk = self.exchange.open(self._caller)
        return talk, self.hear(talk, 0, description=Description({}, {"os.type": "linux"}))

    def hear(
        self, talk: Talk, sequence: int, description: Description | None = None
    ) -> list[ConnectionOffer]:
        report = Report(WHO.uuid, sequence, SUPERVISOR, description=description)
        turn = self.exchange.hear(talk, report)
        orders = [Order(self._caller, WHO, effect) for effect in turn.effects]
        replies = [
            self.exchange.aftermath.absorb(talk, effect, outcome, here=True)
            for effect, outcome in zip(turn.effects, self.exchange.perform(orders), strict=True)
        ]
        return [one.connections for one in replies if one is not None and one.connections is not None]

    def why(self) -> str:
        now = self._work.clock()
        return explanation(
            self.exchange, self.registry, self._work.admission, self._work.database, WHO, now=now
        ).why[-1]


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


@pytest.fixture
def caller(work: AtWork) -> Caller:
    issued = work.enroll(new_key(), WHO, work.token())
    return Caller(serial=issued.serial, claimed=WHO)


@pytest.mark.parametrize("setting", [BEAT, LOGS], ids=["which it refuses without a word", "which it takes"])
def test_what_was_offered_is_not_offered_again_after_a_restart(
    work: AtWork, caller: Caller, setting: Setting
) -> None:
    """The upstream supervisor connects anew for each offer, and refuses a heartbeat in its own log alone."""
    server = Server(work, caller)
    server.put(setting)
    _, first = server.connect()
    assert [one.attempt for one in first] == [1]
    server.registry.flush()
    for _ in range(2):
        server = Server(work, caller)
        talk, told = server.connect()
        assert told == []
        work.clock.advance(timedelta(days=1))
        assert server.hear(talk, 1) == []
        assert "it was sent them, and does not report what became of them" in server.why()


def test_what_changed_meanwhile_is_offered(work: AtWork, caller: Caller) -> None:
    """A restart takes no offer away that the agent never got."""
    server = Server(work, caller)
    server.put(LOGS)
    server.connect()
    server.registry.flush()
    server = Server(work, caller)
    server.put(BEAT)
    _, told = server.connect()
    assert [one.settings.origin for one in told] == ["beat, logs"]


def test_an_offer_that_could_not_be_made_is_made_later(work: AtWork, caller: Caller) -> None:
    """Nothing was said, so the agent does not count as having it; nor is it tried with every message."""
    assert caller.serial is not None
    work.authority.promote(caller.serial, work.clock())
    work.authority.renew(csr(new_key(), WHO), caller.serial, WHO, work.clock())
    server = Server(work, caller)
    server.put(BEAT)
    talk, told = server.connect()
    assert (told, server.hear(talk, 1)) == ([], [])
    assert "it did not say that it took it up; offered again at" in server.why()
    server.put(LOGS)
    server.put(Setting("beat", Kind.OPAMP, {"ring": "other"}, heartbeat_seconds=7))
    server.exchange.forget_plan(talk)
    work.clock.advance(AGAIN_FIRST)
    assert [one.settings.origin for one in server.hear(talk, 2)] == ["logs"]
