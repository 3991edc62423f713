"""Offers made complete for one agent: with the live chain of what it presented, or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Plan
from distribution.domain.connections import ConnectionOffer, ConnectionSet, Destination, Signal
from distribution.domain.terms import Terms
from distribution.errors import InsecureOfferError, PolicyError
from distribution.flows.enrol import Caller
from distribution.flows.equip import Equipper, beside_credential
from distribution.protocol.effects import Equip
from distribution.protocol.pacing import Offered
from distribution.protocol.session import Session, Standing
from keys.certificate import BearerId, Passage, Reason
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import NOW, agent, csr, new_key, small_ca

BEAT = ConnectionSet(heartbeat_seconds=5)
METRICS = ConnectionSet({Signal.METRICS: Destination("https://otlp.example/v1/metrics")})
TERMS = Terms("wss://fleet.example:4320/v1/opamp", "https://fleet.example:4321", small_ca().root_pem)
WHO = agent(1)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def test_the_live_chain_is_put_in(work: AtWork) -> None:
    """The agent is told the certificate that it has, so that it does not drop it."""
    issued = work.enroll(new_key(), WHO, work.token())
    found = Equipper(work.database, TERMS).equip(
        WHO, Caller(issued.serial, WHO), Equip(BEAT, 3, reports_status=True)
    )
    assert (found.settings, found.attempt, found.chain_pem) == (BEAT, 3, issued.chain_pem)


def test_own_telemetry_needs_no_chain(work: AtWork) -> None:
    """The OpAMP connection is left alone, so nothing of it is said."""
    issued = work.enroll(new_key(), WHO, work.token())
    found = Equipper(work.database, TERMS).equip(
        WHO, Caller(issued.serial, WHO), Equip(METRICS, 1, reports_status=True)
    )
    assert found.chain_pem is None


def test_a_certificate_that_ended_is_not_offered_again(work: AtWork) -> None:
    """Between deciding and offering the agent may have been revoked."""
    issued = work.enroll(new_key(), WHO, work.token())
    work.authority.revoke(WHO, Reason.KEY_COMPROMISE, ban=False, actor="operator:ann", now=work.clock())
    with pytest.raises(PolicyError, match="is not live, its settings are not offered"):
        Equipper(work.database, TERMS).equip(
            WHO, Caller(issued.serial, WHO), Equip(BEAT, 1, reports_status=True)
        )


def test_another_agents_certificate_is_never_offered(work: AtWork) -> None:
    """The chain is looked for among the agent's own."""
    issued = work.enroll(new_key(), agent(2), work.token())
    with pytest.raises(PolicyError, match="is not live"):
        Equipper(work.database, TERMS).equip(
            WHO, Caller(issued.serial, WHO), Equip(BEAT, 1, reports_status=True)
        )


def test_an_old_certificate_does_not_take_a_new_one_back(work: AtWork) -> None:
    """While a renewed one waits to be used nothing is offered; over the new one it is."""
    issued = work.enroll(new_key(), WHO, work.token())
    work.authority.promote(issued.serial, work.clock())
    renewed = work.authority.renew(csr(new_key(), WHO), issued.serial, WHO, work.clock())
    equipper = Equipper(work.database, TERMS)
    with pytest.raises(PolicyError, match="has a newer certificate that it did not use yet"):
        equipper.equip(WHO, Caller(issued.serial, WHO), Equip(BEAT, 1, reports_status=True))
    assert (
        equipper.equip(WHO, Caller(renewed.serial, WHO), Equip(BEAT, 1, reports_status=True)).chain_pem
        == renewed.chain_pem
    )


def test_the_lint_is_run(work: AtWork) -> None:
    """What reached the plan by any other way than an operator's command is refused here."""
    plain = ConnectionSet({Signal.METRICS: Destination("http://otlp.example/v1/metrics")})
    with pytest.raises(InsecureOfferError, match=r"own_metrics\.destination_endpoint"):
        Equipper(work.database, TERMS).equip(WHO, Caller(token="t.s"), Equip(plain, 1, reports_status=True))
    with pytest.raises(InsecureOfferError, match=r"opamp\.headers lack Authorization"):
        Equipper(work.database, TERMS).equip(WHO, Caller(token="t.s"), Equip(BEAT, 1, reports_status=True))
    found = Equipper(work.database, TERMS).equip(WHO, Caller(), Equip(BEAT, 1, reports_status=True))
    assert (found.chain_pem, dict(found.headers)) == (None, {})


def test_an_agent_on_a_bearer_token_is_told_the_header_it_showed(work: AtWork) -> None:
    """The server has only a hash of it; what the connection presented is said back to it and to nobody."""
    caller = Caller(bearer=BearerId("b1"), presented="b1.s3cret")
    found = Equipper(work.database, TERMS).equip(WHO, caller, Equip(BEAT, 1, reports_status=True))
    assert found.headers == {"Authorization": "Bearer b1.s3cret"}
    assert "s3cret" not in repr(found)
    with pytest.raises(InsecureOfferError, match=r"opamp\.headers lack Authorization"):
        Equipper(work.database, TERMS).equip(
            WHO, Caller(bearer=BearerId("b1")), Equip(BEAT, 1, reports_status=True)
        )


def test_an_agent_behind_a_gateway_keeps_its_connection(work: AtWork) -> None:
    """The certificate is the gateway's; own telemetry is told as to everybody."""
    issued = work.enroll(new_key(), agent(2), work.token())
    caller = Caller(issued.serial, agent(2), passage=Passage(WHO, agent(2)))
    with pytest.raises(PolicyError, match="is behind a gateway"):
        Equipper(work.database, TERMS).equip(WHO, caller, Equip(BEAT, 1, reports_status=True))
    assert (
        Equipper(work.database, TERMS).equip(WHO, caller, Equip(METRICS, 1, reports_status=True)).settings
        is METRICS
    )


def session(standing: Standing, offered: Offered | None = None) -> Session:
    return Session(AgentView(WHO.uuid), standing, connections=offered)


def test_settings_stand_beside_a_credential_under_their_last_try() -> None:
    """An answer to a certificate request is no new try of them; what was never offered is the first."""
    plan = Plan(None, 30, connections=METRICS)
    told = Offered(METRICS.digest, 1, NOW, attempt=4)
    found = beside_credential(session(Standing.CURRENT, told), plan)
    assert found == ConnectionOffer(METRICS, 4)
    assert beside_credential(session(Standing.NEXT), plan) == ConnectionOffer(METRICS, 1)
    other = Offered(BEAT.digest, 1, NOW, attempt=4)
    assert beside_credential(session(Standing.CURRENT, other), plan) == ConnectionOffer(METRICS, 1)


def test_nothing_stands_beside_a_credential_where_nothing_is_decided() -> None:
    """Nor for a stranger, whose labels nobody knows yet."""
    assert beside_credential(session(Standing.CURRENT), None) is None
    assert beside_credential(session(Standing.CURRENT), Plan(None, 30)) is None
    assert beside_credential(session(Standing.ENROLLING), Plan(None, 30, connections=METRICS)) is None
