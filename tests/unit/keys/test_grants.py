"""keys/grants.py."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from keys.certificate import BearerId, Passage, Reason
from keys.errors import NotAdmittedError, RefusedError
from keys.gateways import Admits, Gateway
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.databases import journalled

GATEWAY, ONE = agent(1), agent(2)
OPERATOR = "operator:ann"


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def test_a_token_makes_a_new_agent_and_lets_it_in_at_once(work: AtWork) -> None:
    """With the labels that it was given; the operator stands in the journal."""
    presented = work.bearer(ONE, labels={"env": "prod"})
    _, admitted = work.admission.prove(presented)
    assert (admitted.agent, admitted.credential) == (ONE, BearerId("b1"))
    assert work.admission.labels_of(ONE) == {"env": "prod"}
    entries = [(entry.kind, entry.actor) for entry in journalled(work.database)]
    assert entries == [("agent.enrolled", OPERATOR), ("bearer.created", OPERATOR)]
    assert [held.id for held in work.grants.tokens_of(ONE)] == [BearerId("b1")]


def test_a_token_for_an_agent_that_has_a_certificate(work: AtWork) -> None:
    """Both let it in; it is enrolled once."""
    issued = work.enroll(new_key(), ONE, work.token())
    work.bearer(ONE, new=False)
    assert set(work.admission.held_by(ONE)) == {issued.serial, BearerId("b1")}
    assert work.kinds().count("agent.enrolled") == 1


def test_who_may_not_hold_a_token(work: AtWork) -> None:
    """An unknown one without the word `new`, a known one with it, one that was revoked."""
    with pytest.raises(RefusedError, match=r"never enrolled; a token for a new agent"):
        work.bearer(ONE, new=False)
    work.bearer(ONE)
    with pytest.raises(RefusedError, match=r"is enrolled since .*only a new one is given labels"):
        work.bearer(ONE, "b2")
    with pytest.raises(RefusedError, match="only a new one is given labels"):
        work.bearer(ONE, "b2", new=False, labels={"env": "prod"})
    work.authority.revoke(ONE, Reason.KEY_COMPROMISE, OPERATOR, work.clock())
    with pytest.raises(RefusedError, match=r"is revoked since .*must reset it first"):
        work.bearer(ONE, "b2", new=False)
    work.authority.reset(ONE, OPERATOR, work.clock())
    work.bearer(ONE, "b3", new=False)
    assert work.admission.held_by(ONE) == (BearerId("b3"),)


def test_a_revoked_token_lets_in_no_more_and_its_agents_others_do(work: AtWork) -> None:
    """From the return of the call, also after a restart."""
    first = work.bearer(ONE)
    second = work.bearer(ONE, "b2", new=False, secret="z" * 43)
    assert work.grants.revoke_token(BearerId("b1"), OPERATOR, work.clock()).revoked_at == work.clock()
    for _ in range(2):
        with pytest.raises(NotAdmittedError, match="not one of ours"):
            work.admission.prove(first)
        assert work.admission.prove(second)[1].agent == ONE
        work.restart()
    work.grants.revoke_token(BearerId("b1"), OPERATOR, work.clock())
    with pytest.raises(RefusedError, match="does not exist"):
        work.grants.revoke_token(BearerId("b9"), OPERATOR, work.clock())


def test_a_gateway_speaks_until_its_role_ends(work: AtWork) -> None:
    """The role, its agents and the end of both, in memory at once; ending it again names the same."""
    issued = work.enroll(new_key(), GATEWAY, work.token())
    work.gateway(GATEWAY, Admits.NEW)
    passage = work.grants.admit_new(GATEWAY, ONE, work.clock())
    assert work.admission.admit_through(passage, issued.serial).agent == ONE
    assert [(role.agent, behind) for role, behind in work.grants.roles()] == [(GATEWAY, [passage])]
    assert work.grants.behind(GATEWAY) == [passage]
    for _ in range(2):
        assert work.grants.revoke_gateway(GATEWAY, OPERATOR, work.clock()) == (passage,)
        with pytest.raises(NotAdmittedError):
            work.admission.admit_through(passage, issued.serial)
    assert work.grants.roles() == []
    with pytest.raises(RefusedError, match="is no gateway"):
        work.grants.revoke_gateway(ONE, OPERATOR, work.clock())


def test_a_role_is_looked_at_before_it_changes(work: AtWork) -> None:
    """In the transaction of the change: what refuses it leaves everything as it was."""
    work.enroll(new_key(), GATEWAY, work.token())
    seen: list[Admits | None] = []

    def refuse(present: Gateway | None) -> None:
        seen.append(None if present is None else present.admits)
        raise LookupError

    with pytest.raises(LookupError):
        work.grants.grant_gateway(GATEWAY, Admits.NEW, {}, OPERATOR, work.clock(), require=refuse)
    assert work.grants.roles() == []
    work.gateway(GATEWAY)
    with pytest.raises(LookupError):
        work.grants.revoke_gateway(GATEWAY, OPERATOR, work.clock(), require=refuse)
    assert (seen, len(work.grants.roles())) == ([None, Admits.LISTED], 1)


def test_what_a_gateway_may_not_bring_costs_no_transaction(work: AtWork) -> None:
    """It is known in memory."""
    work.enroll(new_key(), GATEWAY, work.token())
    before = len(work.kinds())
    with pytest.raises(NotAdmittedError, match="was not admitted through gateway"):
        work.grants.admit_new(GATEWAY, ONE, work.clock())
    assert len(work.kinds()) == before


def test_a_token_of_its_own_ends_that_a_gateway_speaks_for_an_agent(work: AtWork) -> None:
    """What ended is returned, so that it is cut."""
    issued = work.enroll(new_key(), GATEWAY, work.token())
    work.gateway(GATEWAY)
    passage = work.grants.admit(GATEWAY, ONE, {"site": "a"}, OPERATOR, work.clock())
    _, ended = work.grants.create_token(
        ONE,
        token=BearerId("b1"),
        secret="z" * 43,
        new=False,
        labels={},
        expires_at=work.clock() + timedelta(days=1),
        actor=OPERATOR,
        now=work.clock(),
    )
    assert ended == work.grants.ended_passages(ONE) == (Passage(ONE, GATEWAY),)
    with pytest.raises(NotAdmittedError, match="is not one that gateway"):
        work.admission.admit_through(passage, issued.serial)
    assert work.admission.labels_of(ONE) == {"site": "a"}


def test_requests_are_shown_and_approved(work: AtWork) -> None:
    """By the name of their key."""
    work.enroll(new_key(), GATEWAY, work.token())
    work.gateway(GATEWAY)
    passage = work.grants.admit(GATEWAY, ONE, {}, OPERATOR, work.clock())
    request = csr(new_key(), ONE)
    assert work.authority.enroll_through(request, passage, work.clock()) is None
    [found] = work.grants.requests()
    assert work.grants.approve(ONE, found.key, OPERATOR, work.clock()).approved_at == work.clock()
    issued = work.authority.enroll_through(request, passage, work.clock())
    assert issued is not None
    assert work.admission.held_by(ONE) == (issued.serial,)
