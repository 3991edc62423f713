"""One message's story, without a socket."""

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
from distribution.domain.connections import Credential
from distribution.errors import PolicyError
from distribution.fleet import agents
from distribution.fleet.registry import Registry
from distribution.flows.decided import PLAN_FOR
from distribution.flows.enrol import Caller
from distribution.flows.exchange import Exchange
from distribution.flows.orders import Order, Refused
from distribution.flows.talk import Talk
from distribution.protocol.effects import Certify, PackageEvent, Promote
from distribution.protocol.package_events import NOTES_MAX
from distribution.protocol.session import Standing
from keys.certificate import Issued
from keys.errors import NotAdmittedError, TokenRefusedError
from keys.identity import AgentId
from storage.errors import UnavailableError
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.databases import journalled
from tests.fakes.live_connections import LiveConnections
from tests.fakes.offers import an_offer

ABLE = Capability.REPORTS_STATUS | Capability.ACCEPTS_PACKAGES
HERE = Description({}, {"os.type": "linux", "host.arch": "amd64"})
EVENT = PackageEvent(
    installed=True,
    name="otelcol",
    version="1.0.0",
    path="acme/otelcol/1.0.0/linux-amd64/otelcol",
    hash=b"\x01",
    error="",
)


class Scene:
    """An exchange with everything it stands on."""

    def __init__(self, work: AtWork) -> None:
        self.work = work
        self.plan = Plan(None, 30)
        self.error: Exception | None = None
        self.asked: list[AgentView] = []
        self.registry = Registry(work.database, work.admission.labels_of)
        self.connections = LiveConnections()
        self.exchange = Exchange(
            database=work.database,
            registry=self.registry,
            admission=work.admission,
            authority=work.authority,
            connections=self.connections,
            plan_for=self._plan_for,
            heartbeat_seconds=30,
            clock=work.clock,
        )
        self.issued = work.enroll(new_key(), agent(1), work.token(labels={"ring": "a"}))
        self.caller = self.caller_for(self.issued)

    def _plan_for(self, view: AgentView) -> Plan:
        self.asked.append(view)
        if self.error is not None:
            raise self.error
        return self.plan

    def caller_for(self, issued: Issued) -> Caller:
        return Caller(serial=issued.serial, claimed=issued.agent, remote="192.0.2.1:5")

    def talk(self) -> Talk:
        return self.exchange.open(self.caller)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with at_work(tmp_path) as work:
        yield Scene(work)


def said(sequence: int = 0, who: AgentId | None = None, **parts: object) -> Report:
    return replace(Report((who or agent(1)).uuid, sequence, ABLE), **parts)  # type: ignore[arg-type] # any part


def test_plan_is_decided_from_what_the_first_message_says(scene: Scene) -> None:
    """The plan sees platform and labels, and is not decided again for a heartbeat."""
    talk = scene.talk()
    scene.exchange.hear(talk, said(description=HERE))
    scene.exchange.hear(talk, said(1))
    assert [(view.platform, view.labels) for view in scene.asked] == [("linux-amd64", {"ring": "a"})]
    scene.exchange.hear(talk, said(2, description=HERE))
    scene.exchange.hear(talk, said(3, capabilities=Capability.REPORTS_STATUS))
    assert len(scene.asked) == 3
    assert scene.asked[-1].capabilities == Capability.REPORTS_STATUS


def test_plan_does_not_grow_old(scene: Scene) -> None:
    """What a plan was decided from may change without a wake-up; an equal plan stays the same object."""
    talk = scene.talk()
    scene.exchange.hear(talk, said(description=HERE))
    before = talk.plan
    scene.plan = Plan(None, 30)
    scene.work.clock.advance(PLAN_FOR)
    scene.exchange.hear(talk, said(1))
    assert talk.plan is before
    scene.plan = Plan(an_offer(), 30)
    scene.work.clock.advance(PLAN_FOR)
    assert scene.exchange.hear(talk, said(2)).reply.offer == an_offer()
    scene.plan = Plan(None, 30, "of the time before")
    scene.work.clock.advance(-timedelta(seconds=30))
    scene.exchange.hear(talk, said(3))
    assert talk.plan is scene.plan, "a clock that was set back is not waited for"


def test_what_is_heard_is_kept(scene: Scene) -> None:
    """The fleet knows the agent after its message, and that it left after `leave`."""
    talk = scene.talk()
    scene.exchange.leave(talk)
    assert not scene.registry.view(agent(1)).connected
    scene.exchange.hear(talk, said(description=HERE))
    assert scene.registry.view(agent(1)).connected
    scene.exchange.leave(talk)
    assert not scene.registry.view(agent(1)).connected


@pytest.mark.parametrize(
    ("error", "problem"),
    [(PolicyError("two channels fit"), "two channels fit"), (KeyError("bug"), "internal error")],
)
def test_plan_that_fails_is_no_offer(scene: Scene, error: Exception, problem: str) -> None:
    """An error never becomes an offer; a bug's text is not shown."""
    scene.error = error
    turn = scene.exchange.hear(scene.talk(), said(description=HERE))
    assert (turn.reply.offer, turn.session.view.problem) == (None, problem)


def test_stranger_is_told_nothing_and_kept_nowhere(scene: Scene) -> None:
    """With a token a peer is whoever it says, once, and changes nothing."""
    scene.plan = Plan(an_offer(), 30)
    talk = scene.exchange.open(Caller(token="t.s"))
    turn = scene.exchange.hear(talk, said(description=HERE))
    assert (turn.session.standing, turn.reply.offer) == (Standing.ENROLLING, None)
    assert scene.registry.view(agent(1)).description is None
    assert scene.exchange.replan(talk) is None
    scene.exchange.leave(talk)
    with pytest.raises(NotAdmittedError, match=str(agent(2))):
        scene.exchange.hear(talk, said(1, agent(2)))


def test_nobody_is_not_let_in(scene: Scene) -> None:
    """Nothing shown, an unknown serial, another agent's name in the certificate."""
    with pytest.raises(NotAdmittedError, match="neither"):
        scene.exchange.open(Caller())
    with pytest.raises(NotAdmittedError, match=str(agent(2))):
        scene.exchange.open(replace(scene.caller, claimed=agent(2)))


def test_admission_is_asked_for_every_message(scene: Scene) -> None:
    """A credential that ends while it is connected is refused at its next message, and by the check."""
    talk = scene.talk()
    scene.exchange.hear(talk, said())
    scene.exchange.still_admitted(scene.caller)
    scene.exchange.still_admitted(Caller(token="t.s"))
    scene.work.clock.now = scene.issued.not_after + timedelta(seconds=1)
    with pytest.raises(NotAdmittedError, match="ended at"):
        scene.exchange.hear(talk, said(1))
    with pytest.raises(NotAdmittedError, match="ended at"):
        scene.exchange.still_admitted(scene.caller)


def test_wake_up_pushes_a_changed_plan_with_new_labels(scene: Scene) -> None:
    """The plan is decided from the labels of now; an unchanged one is not pushed."""
    talk = scene.talk()
    scene.exchange.hear(talk, said(description=HERE))
    assert scene.exchange.replan(talk) is None
    scene.registry.introduce(agent(1))
    with scene.work.database.write() as connection:
        agents.set_labels(connection, agent(1), {"ring": "b"})
    scene.registry.relabel()
    scene.plan = Plan(an_offer(), 30)
    turn = scene.exchange.replan(talk)
    assert turn is not None
    assert turn.reply.offer == an_offer()
    assert scene.asked[-1].labels == {"ring": "b"}


def test_wake_up_before_the_first_message_pushes_nothing(scene: Scene) -> None:
    """An agent that has said nothing is told nothing, and is not counted as connected."""
    scene.plan = Plan(an_offer(), 30)
    assert scene.exchange.replan(scene.talk()) is None
    assert not scene.registry.view(agent(1)).connected


def test_forgotten_plan_is_decided_with_the_next_message(scene: Scene) -> None:
    """Where nothing can be pushed, the next message meets the new plan."""
    talk = scene.talk()
    scene.exchange.hear(talk, said(description=HERE))
    scene.plan = Plan(an_offer(), 30)
    scene.exchange.forget_plan(talk)
    assert scene.exchange.hear(talk, said(1)).reply.offer == an_offer()
    scene.exchange.forget_plan(Talk(Caller(token="t.s"), None))


def test_orders_come_to_outcomes_in_their_order(scene: Scene) -> None:
    """A credential, a refusal, and nothing to tell; one's trouble is not another's."""
    stranger = Caller(token=scene.work.token("t2"))
    orders = [
        Order(scene.caller, agent(1), EVENT),
        Order(stranger, agent(2), Certify(csr(new_key(), agent(2)))),
        Order(Caller(token="no.body"), agent(3), Certify(csr(new_key(), agent(3)))),
        Order(scene.caller, agent(1), Promote()),
        Order(Caller(), None, Promote()),
    ]
    kinds = [type(outcome) for outcome in scene.exchange.perform(orders)]
    assert kinds == [type(None), Credential, TokenRefusedError, type(None), type(None)]
    assert scene.registry.find(agent(2)).uid == agent(2).uuid
    assert scene.exchange.perform([]) == []


def test_package_events_share_a_transaction(scene: Scene) -> None:
    """Installed and failed, by whom, of what; a package that is not ours by its own name."""
    foreign = replace(EVENT, installed=False, path="", error="exit status 1")
    scene.exchange.perform([Order(scene.caller, agent(1), event) for event in (EVENT, foreign)])
    first, second = journalled(scene.work.database)[-2:]
    assert (first.kind, first.subject) == ("package.installed", "package:acme/otelcol@1.0.0")
    assert (second.kind, second.subject) == ("package.failed", "package:otelcol@1.0.0")
    assert first.actor == second.actor == f"agent:{agent(1)}"
    assert second.detail == {"path": "", "hash": "01", "error": "exit status 1"}


def test_events_that_cannot_be_journalled_are_logged(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent's status still says it, so the agent is not troubled."""

    def unavailable() -> None:
        raise UnavailableError("no turn")

    monkeypatch.setattr(scene.work.database, "write", unavailable)
    assert scene.exchange.perform([Order(scene.caller, agent(1), EVENT)]) == [None]
    assert "could not be journalled" in caplog.text


def test_refusals_are_journalled_once_an_hour(scene: Scene) -> None:
    """By serial, or as a peer without one; whoever knocks cannot fill the journal."""
    for _ in range(3):
        scene.exchange.perform(
            [Order(scene.caller, None, Refused("no")), Order(Caller(remote="here"), None, Refused("no"))]
        )
    found = [
        (entry.actor, entry.subject, entry.detail["why"])
        for entry in journalled(scene.work.database)
        if entry.kind == "connection.refused"
    ]
    assert found == [
        (f"agent:{agent(1)}", f"serial:{scene.issued.serial}", "no (from 192.0.2.1:5)"),
        ("peer", "peer without a certificate", "no (from here)"),
    ]


def test_connecting_anew_gives_no_new_share_of_the_journal(scene: Scene) -> None:
    """What an agent may have journalled in an hour is counted for the agent, not for its connection."""
    noted = 0
    for connection in range(3):
        failed = tuple(
            PackageReport(f"p{number}", PackageState.FAILED, error=f"{connection}") for number in range(100)
        )
        turn = scene.exchange.hear(scene.talk(), said(packages=PackagesReport(failed)))
        noted += sum(isinstance(effect, PackageEvent) for effect in turn.effects)
    assert noted == NOTES_MAX


def test_changed_labels_are_read_by_the_next_wake_up(scene: Scene) -> None:
    """Whoever changed any label, no agent is planned by old ones: each reads its own once more."""
    talk = scene.talk()
    scene.exchange.hear(talk, said(description=HERE))
    assert scene.exchange.waking.alike(talk) is not None
    scene.registry.flush()
    with scene.work.database.write() as connection:
        scene.registry.set_labels(connection, agent(1), {"ring": "b"})
    scene.registry.relabel([agent(1)])
    assert scene.exchange.waking.alike(talk) is None
    scene.exchange.replan(talk)
    assert scene.asked[-1].labels == {"ring": "b"}
    assert scene.exchange.waking.alike(talk) is not None
