"""keys/passages.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys import gateways, ledger, passages
from keys.certificate import Passage, Reason
from keys.errors import NotAdmittedError, RefusedError
from keys.gateways import Admits
from keys.identity import AgentId
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, new_key
from tests.fakes.databases import journalled

NORTH, SOUTH, ONE, TWO = agent(1), agent(2), agent(3), agent(4)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        for number, gateway in enumerate((NORTH, SOUTH)):
            work.enroll(new_key(), gateway, work.token(f"g{number}"))
            work.gateway(gateway, Admits.NEW, {"by": "gateway"})
        yield work


def _admit(work: AtWork, gateway: AgentId, who: AgentId, **labels: str) -> Passage:
    with work.database.write() as connection:
        return passages.admit(connection, gateway, who, labels, actor="operator:ann", now=work.clock())


def _first_seen(work: AtWork, gateway: AgentId, who: AgentId) -> Passage:
    with work.database.write() as connection:
        return passages.admit_new(connection, gateway, who, work.clock())


def test_an_operator_admits_an_agent_once(work: AtWork) -> None:
    """Again is no error and writes nothing."""
    assert _admit(work, NORTH, ONE, site="a") == _admit(work, NORTH, ONE) == Passage(ONE, NORTH)
    work.admission.refresh(ONE)
    assert work.admission.labels_of(ONE) == {"site": "a"}
    entries = [entry for entry in journalled(work.database) if entry.kind == "gateway.admitted"]
    assert [(entry.actor, entry.subject) for entry in entries] == [("operator:ann", f"agent:{ONE}")]
    assert entries[0].detail == {"gateway": str(NORTH), "labels": {"site": "a"}}


def test_an_unknown_agent_is_admitted_at_first_sight_with_the_grants_labels(work: AtWork) -> None:
    """The journal says that the gateway brought it."""
    assert _first_seen(work, NORTH, ONE) == _first_seen(work, NORTH, ONE) == Passage(ONE, NORTH)
    entry = journalled(work.database)[-1]
    assert (entry.kind, entry.actor) == ("gateway.admitted", f"agent:{NORTH}")
    assert entry.detail == {"gateway": str(NORTH), "labels": {"by": "gateway"}}


def test_a_gateway_whose_role_does_not_say_so_brings_nobody(work: AtWork) -> None:
    """Only those that an operator listed."""
    work.gateway(NORTH)
    with pytest.raises(NotAdmittedError, match=f"agent {ONE} was not admitted through gateway {NORTH}"):
        _first_seen(work, NORTH, ONE)
    with pytest.raises(RefusedError, match=f"agent {ONE} is no gateway"):
        _admit(work, ONE, TWO)


def test_one_agent_is_spoken_for_by_one_gateway(work: AtWork) -> None:
    """Neither an operator nor a gateway puts a second one beside the first."""
    _admit(work, NORTH, ONE)
    with pytest.raises(RefusedError, match=f"is spoken for by gateway {NORTH}, not by gateway {SOUTH}"):
        _admit(work, SOUTH, ONE)
    with pytest.raises(NotAdmittedError, match="admits only agents that nobody knows"):
        _first_seen(work, SOUTH, ONE)


def test_nobody_speaks_for_an_agent_that_is_enrolled(work: AtWork) -> None:
    """Whether it holds a certificate or a bearer token."""
    work.enroll(new_key(), ONE, work.token())
    work.bearer(TWO)
    for who in (ONE, TWO):
        with pytest.raises(RefusedError, match=r"is enrolled since .*only after a reset"):
            _admit(work, NORTH, who)
        with pytest.raises(NotAdmittedError, match="admits only agents that nobody knows"):
            _first_seen(work, NORTH, who)


def test_what_an_agent_still_holds_is_named(work: AtWork) -> None:
    """A credential that is open bars the gateway, whatever its agent's standing says."""
    _admit(work, NORTH, ONE)
    with work.database.write() as connection:
        before = ledger.enrollment_of(connection, ONE)
        gateways.end_passage(connection, ONE, work.clock())
    work.bearer(ONE, new=False)
    with work.database.write() as connection:
        assert before is not None
        ledger.put_enrollment(connection, before)
    with pytest.raises(RefusedError, match="holds b1 of its own"):
        _admit(work, NORTH, ONE)


def test_a_revoked_agent_comes_in_through_no_gateway_until_it_was_reset(work: AtWork) -> None:
    """Neither at first sight nor by an operator's list; the reset opens the list again, nothing else."""
    _admit(work, NORTH, ONE, site="a")
    work.authority.revoke(ONE, Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    with pytest.raises(RefusedError, match=r"is revoked since .*only after a reset"):
        _admit(work, NORTH, ONE)
    with pytest.raises(NotAdmittedError, match=r"is revoked since"):
        _first_seen(work, NORTH, ONE)
    work.authority.reset(ONE, "operator:ann", work.clock())
    with pytest.raises(NotAdmittedError, match="is reset since"):
        _first_seen(work, NORTH, ONE)
    assert _admit(work, NORTH, ONE) == Passage(ONE, NORTH)
    assert work.admission.labels_of(ONE) == {"site": "a"}


def test_a_gateway_whose_role_was_renewed_finds_its_agents_again(work: AtWork) -> None:
    """Its own ones only: another gateway does not inherit them."""
    _first_seen(work, NORTH, ONE)
    work.grants.revoke_gateway(NORTH, "operator:ann", work.clock())
    with pytest.raises(NotAdmittedError, match="admits only agents that nobody knows"):
        _first_seen(work, SOUTH, ONE)
    work.gateway(NORTH, Admits.NEW)
    assert _first_seen(work, NORTH, ONE) == Passage(ONE, NORTH)


def test_a_gateway_speaks_for_so_many_and_no_more(work: AtWork, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds for both ways in."""
    monkeypatch.setattr(passages, "BEHIND_MAX", 1)
    _first_seen(work, NORTH, ONE)
    with pytest.raises(NotAdmittedError, match="speaks for 1 agents, at most 1"):
        _first_seen(work, NORTH, TWO)
    with pytest.raises(RefusedError, match="speaks for 1 agents, at most 1"):
        _admit(work, NORTH, TWO)
