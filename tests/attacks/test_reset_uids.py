"""Threat: who enrolls under a uid that was reset, for which any token will do, gets what was for another."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Capability, Plan, Report
from distribution.domain.config_choice import Assignment
from distribution.errors import PolicyError
from distribution.fleet.registry import Registry
from distribution.flows.configuration import values
from distribution.flows.deploy import label_agent
from distribution.flows.enrol import Caller
from distribution.flows.exchange import Exchange
from distribution.flows.reset import reset
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.configured import Configured
from tests.fakes.live_connections import LiveConnections

ANN = "operator:ann"
WHO = agent(1)
ABLE = Capability.REPORTS_STATUS | Capability.ACCEPTS_REMOTE_CONFIG


class Fleet:
    """An agent that was given values and labels by operators, and whoever takes its uid."""

    def __init__(self, work: AtWork) -> None:
        self.work = work
        self.configured = Configured(work.database)
        self.registry = Registry(work.database, work.admission.labels_of)
        issued = work.enroll(new_key(), WHO, work.token())
        self.caller = Caller(serial=issued.serial, claimed=WHO)
        self.registry.introduce(WHO)
        self.configured.create("base", "key: ${qm:value.key}")
        self.configured.create("keys", "exporters: {otlp: {headers: {Authorization: hunter2}}}", secret=True)

    def reset(self) -> None:
        reset(
            self.work.authority,
            LiveConnections(),
            self.work.database,
            self.registry,
            WHO,
            lift_ban=False,
            leave_given_to_next_holder=False,
            actor=ANN,
            clock=self.work.clock,
            stopwatch=lambda: 1.0,
        )
        self.configured.board.reload()  # as the wake-up does

    def offered(self) -> dict[str, str]:
        """Return what whoever is this agent now is to run."""
        return self.configured.bodies(replace(self.registry.view(WHO), capabilities=ABLE))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with at_work(tmp_path) as work:
        yield Fleet(work)


def test_values_of_the_former_holder(fleet: Fleet) -> None:
    """A secret that an operator set for one host is not rendered for the next one."""
    fleet.configured.assign(Assignment("base", "base", 1))
    values.set_values(fleet.configured.parts, WHO, {"key": "s3cret"}, actor=ANN, now=fleet.work.clock())
    fleet.configured.board.reload()
    assert "s3cret" in str(fleet.offered())
    fleet.reset()
    fleet.work.enroll(new_key(), WHO, fleet.work.token("thief"))
    with pytest.raises(PolicyError, match="key"):
        fleet.offered()


def test_labels_of_the_former_holder(fleet: Fleet) -> None:
    """A secret configuration that a label given by hand selects is not offered to the next one."""
    fleet.configured.assign(Assignment("keys", "keys", 1, labels={"env": "prod"}))
    label_agent(
        fleet.work.database,
        LiveConnections(),
        fleet.registry,
        WHO,
        {"env": "prod"},
        actor=ANN,
        now=fleet.work.clock(),
    )
    assert "hunter2" in str(fleet.offered())
    fleet.reset()
    fleet.work.enroll(new_key(), WHO, fleet.work.token("thief"))
    assert fleet.offered() == {}


def test_a_request_that_was_approved_for_the_former_holder(fleet: Fleet) -> None:
    """Its key gets no certificate when a gateway brings it again."""
    work, key, behind, gateway = fleet.work, new_key(), agent(2), agent(3)
    work.enroll(new_key(), gateway, work.token("gateway"))
    work.gateway(gateway)
    passage = work.grants.admit(gateway, behind, {}, ANN, work.clock())
    assert work.authority.enroll_through(csr(key, behind), passage, work.clock()) is None
    [waits] = work.grants.requests()
    work.grants.approve(behind, waits.key, ANN, work.clock())
    work.authority.reset(behind, ANN, work.clock())
    passage = work.grants.admit(gateway, behind, {}, ANN, work.clock())
    assert work.authority.enroll_through(csr(key, behind), passage, work.clock()) is None
    assert work.admission.serials_of(behind) == ()


def test_a_connection_that_ends_late_brings_nothing_back(fleet: Fleet) -> None:
    """What the former holder said stays forgotten, whenever its conversation is closed."""
    exchange = Exchange(
        database=fleet.work.database,
        registry=fleet.registry,
        admission=fleet.work.admission,
        authority=fleet.work.authority,
        connections=LiveConnections(),
        plan_for=lambda _: Plan(None, 30),
        heartbeat_seconds=30,
        clock=fleet.work.clock,
    )
    talk = exchange.open(fleet.caller)
    exchange.hear(talk, Report(WHO.uuid, 0, ABLE))
    assert fleet.registry.view(WHO).capabilities == ABLE
    fleet.reset()
    exchange.leave(talk)
    assert fleet.registry.view(WHO) == AgentView(WHO.uuid)
