"""keys/gateways.py."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from keys import gateways, ledger
from keys.certificate import Passage
from keys.errors import RefusedError
from keys.gateways import Admits, Gateway
from keys.identity import AgentId
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, new_key
from tests.fakes.databases import journalled

GATEWAY, ONE, TWO = agent(1), agent(2), agent(3)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        work.enroll(new_key(), GATEWAY, work.token())
        yield work


def test_a_grant_is_journalled_and_can_be_changed(work: AtWork) -> None:
    """The role is what the last grant says."""
    work.gateway(GATEWAY)
    work.gateway(GATEWAY, Admits.NEW, {"site": "north"})
    with work.database.read() as connection:
        [role] = gateways.all_roles(connection)
        assert gateways.role_of(connection, GATEWAY) == gateways.require_role(connection, GATEWAY) == role
        assert gateways.was_gateway(connection, GATEWAY)
        assert not gateways.was_gateway(connection, ONE)
    assert role == Gateway(GATEWAY, Admits.NEW, {"site": "north"}, work.clock(), "operator:ann")
    entry = journalled(work.database)[-1]
    assert (entry.kind, entry.subject, entry.actor) == (
        "gateway.granted",
        f"agent:{GATEWAY}",
        "operator:ann",
    )


def test_only_an_agent_with_a_certificate_of_its_own_becomes_one(work: AtWork) -> None:
    """Neither a stranger nor one that is spoken for itself, nor one that has a bearer token alone."""
    work.bearer(TWO, "b1")
    with pytest.raises(RefusedError, match=f"agent {TWO} holds no certificate"):
        work.gateway(TWO)
    with pytest.raises(RefusedError, match="never enrolled, expected enrolled"):
        work.gateway(ONE)
    work.gateway(GATEWAY)
    work.grants.admit(GATEWAY, ONE, {}, "operator:ann", work.clock())
    with pytest.raises(RefusedError, match=r"is admitted since .*, expected enrolled"):
        work.gateway(ONE)


def test_every_passage_ends_with_the_role(work: AtWork) -> None:
    """And a role that is not there ends nothing."""
    work.gateway(GATEWAY)
    for who in (ONE, TWO):
        work.grants.admit(GATEWAY, who, {}, "operator:ann", work.clock())
    with work.database.write() as connection:
        assert len(gateways.all_passages(connection)) == 2
        gone = gateways.end_role(connection, GATEWAY, actor="operator:ann", now=work.clock())
        assert gone == (Passage(ONE, GATEWAY), Passage(TWO, GATEWAY))
        assert gateways.end_role(connection, GATEWAY, actor="operator:ann", now=work.clock()) is None
        assert gateways.all_passages(connection) == gateways.passages_through(connection, GATEWAY) == []
        assert set(gateways.ended_passages(connection, GATEWAY)) == set(gone)
        with pytest.raises(RefusedError, match="is no gateway"):
            gateways.require_role(connection, GATEWAY)
    assert journalled(work.database)[-1].detail == {"agents": 2}


def test_one_passage_ends_alone(work: AtWork) -> None:
    """The other agents behind the gateway stay."""
    work.gateway(GATEWAY)
    for who in (ONE, TWO):
        work.grants.admit(GATEWAY, who, {}, "operator:ann", work.clock())
    with work.database.write() as connection:
        assert gateways.end_passage(connection, ONE, work.clock()) == Passage(ONE, GATEWAY)
        assert gateways.end_passage(connection, ONE, work.clock()) is None
        assert gateways.passage_of(connection, ONE) is None
        assert gateways.passages_through(connection, GATEWAY) == [Passage(TWO, GATEWAY)]


def test_a_role_that_was_taken_away_alone_is_not_lost_with_the_credentials(work: AtWork) -> None:
    """A live role goes with a reset, and one that went with it is still known; nothing else counts."""

    def loses(who: AgentId = GATEWAY) -> bool:
        with work.database.read() as connection:
            enrollment = ledger.enrollment_of(connection, who)
            assert enrollment is not None
            return gateways.loses_role(connection, enrollment)

    assert not loses()
    work.clock.advance(timedelta(minutes=1))
    work.gateway(GATEWAY)
    assert loses()
    work.clock.advance(timedelta(minutes=1))
    work.authority.reset(GATEWAY, "operator:ann", work.clock())
    assert loses()
    work.enroll(new_key(), GATEWAY, work.token("t2"))
    work.clock.advance(timedelta(minutes=1))
    work.gateway(GATEWAY)
    work.grants.revoke_gateway(GATEWAY, "operator:ann", work.clock())
    assert not loses()
