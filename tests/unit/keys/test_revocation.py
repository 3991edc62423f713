"""keys/revocation.py."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from keys import gateways, ledger, revocation, waiting
from keys.certificate import BearerId, Passage, Reason, Revoked
from keys.errors import RefusedError
from keys.ledger import Standing, State
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.databases import journalled

HOUR = timedelta(hours=1)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def _revoke(
    work: AtWork, reason: Reason = Reason.KEY_COMPROMISE, *, ban: bool = False, number: int = 1
) -> Revoked:
    with work.database.write() as connection:
        return revocation.revoke(
            connection, agent(number), reason, actor="operator:ann", now=work.clock(), ban=ban
        )


def _reset(work: AtWork, *, lift_ban: bool = False, number: int = 1) -> Revoked:
    with work.database.write() as connection:
        return revocation.reset(
            connection, agent(number), actor="operator:ann", now=work.clock(), lift_ban=lift_ban
        )


def _standing(work: AtWork) -> Standing | None:
    with work.database.read() as connection:
        enrollment = ledger.enrollment_of(connection, agent())
    return None if enrollment is None else enrollment.standing


def _revoked_kinds(work: AtWork) -> list[str]:
    return [kind for kind in work.kinds() if kind in {"agent.revoked", "agent.banned", "agent.reset"}]


def test_a_revocation_takes_everything_at_once(work: AtWork) -> None:
    """Current and next go in one transaction with their journal entry."""
    first = work.enroll(new_key(), agent(), work.token())
    following = work.authority.renew(csr(new_key(), agent()), first.serial, agent(), work.clock())
    revoked = _revoke(work)
    assert set(revoked.serials) == {first.serial, following.serial}
    assert (revoked.agent, revoked.reason, revoked.at) == (agent(), Reason.KEY_COMPROMISE, work.clock())
    assert {held.state for held in work.credentials(agent())} == {State.REVOKED}
    assert _standing(work) is Standing.REVOKED
    entry = journalled(work.database)[-1]
    assert (entry.kind, entry.actor, entry.subject) == ("agent.revoked", "operator:ann", f"agent:{agent()}")
    assert set(entry.detail["serials"]) == {str(serial) for serial in revoked.serials}  # type: ignore[arg-type]


def test_an_intent_goes_too(work: AtWork) -> None:
    """What was begun cannot be finished after the revocation."""
    work.enroll(new_key(), agent(), work.token())
    with work.database.write() as connection:
        connection.exec_driver_sql("UPDATE credentials SET state = 'intent'")
    _revoke(work)
    assert [held.state for held in work.credentials(agent())] == [State.REVOKED]


def test_revoking_again_answers_the_same(work: AtWork) -> None:
    """Serials, reason and time are the first one's, and nothing is journalled twice."""
    work.enroll(new_key(), agent(), work.token())
    first = _revoke(work)
    work.clock.advance(HOUR)
    assert _revoke(work, Reason.UNSPECIFIED) == first
    assert _revoked_kinds(work) == ["agent.revoked"]


def test_a_ban_is_a_revocation_and_more(work: AtWork) -> None:
    """Both are journalled; a revocation after it leaves the ban."""
    work.enroll(new_key(), agent(), work.token())
    first = _revoke(work, ban=True)
    assert (len(first.serials), first.banned) == (1, True)
    assert _revoke(work) == _revoke(work, ban=True) == first
    assert _standing(work) is Standing.BANNED
    assert _revoked_kinds(work) == ["agent.revoked", "agent.banned"]


def test_a_revoked_agent_may_be_banned_afterwards(work: AtWork) -> None:
    """The ban alone is journalled then."""
    work.enroll(new_key(), agent(), work.token())
    first = _revoke(work)
    assert not first.banned
    assert _revoke(work, ban=True) == replace(first, banned=True)
    assert _revoked_kinds(work) == ["agent.revoked", "agent.banned"]


def test_a_reset_takes_everything_and_lets_the_agent_come_back(work: AtWork) -> None:
    """It says how the agent stood before."""
    issued = work.enroll(new_key(), agent(), work.token())
    revoked = _reset(work)
    assert (revoked.serials, revoked.reason) == ((issued.serial,), Reason.SUPERSEDED)
    assert _standing(work) is Standing.RESET
    assert journalled(work.database)[-1].detail == {"serials": [str(issued.serial)], "was": "enrolled"}


def test_resetting_again_answers_the_same(work: AtWork) -> None:
    """Nothing is journalled twice."""
    work.enroll(new_key(), agent(), work.token())
    first = _reset(work)
    work.clock.advance(HOUR)
    assert _reset(work) == first
    assert _revoked_kinds(work) == ["agent.reset"]


def test_a_reset_agent_may_be_revoked(work: AtWork) -> None:
    """It stands revoked then; there is nothing left to take."""
    work.enroll(new_key(), agent(), work.token())
    _reset(work)
    _revoke(work)
    assert _standing(work) is Standing.REVOKED
    assert _revoked_kinds(work) == ["agent.reset", "agent.revoked"]


def test_a_banned_agent_is_not_reset_by_the_way(work: AtWork) -> None:
    """The ban must be lifted by name."""
    work.enroll(new_key(), agent(), work.token())
    _revoke(work, ban=True)
    with pytest.raises(
        RefusedError, match=f"agent {agent()} is banned since 2026-06-01T12:00:00.*; only --lift-ban"
    ):
        _reset(work)
    _reset(work, lift_ban=True)
    assert _standing(work) is Standing.RESET


def test_an_agent_that_never_enrolled_is_refused(work: AtWork) -> None:
    """It is named, and nothing is written."""
    for take in (_revoke, _reset):
        with pytest.raises(RefusedError, match=f"agent {agent(9)} never enrolled"):
            take(work, number=9)
    assert work.kinds() == []


def test_an_agent_without_a_certificate_is_revoked_all_the_same(work: AtWork) -> None:
    """If its only intent was abandoned, there are no serials, and it stands revoked."""
    work.enroll(new_key(), agent(), work.token())
    with work.database.write() as connection:
        connection.exec_driver_sql("UPDATE credentials SET state = 'abandoned'")
    revoked = _revoke(work)
    assert (revoked.serials, revoked.reason, revoked.at) == ((), Reason.KEY_COMPROMISE, work.clock())
    assert _standing(work) is Standing.REVOKED


def test_what_is_taken_is_journalled_however_the_agent_stood(work: AtWork) -> None:
    """A serial never goes without an entry, even where the ledger contradicts itself."""
    issued = work.enroll(new_key(), agent(), work.token())
    with work.database.write() as connection:
        connection.exec_driver_sql("UPDATE enrollments SET standing = 'revoked'")
    assert _revoke(work).serials == (issued.serial,)
    assert _revoked_kinds(work) == ["agent.revoked"]


def test_a_clock_that_was_set_back_hides_no_connection(work: AtWork) -> None:
    """What is returned is what just went, so that its connections are cut, whatever the clock said before."""
    work.enroll(new_key(), agent(), work.token())
    _reset(work)
    second = work.enroll(new_key(), agent(), work.token("t2"))
    work.clock.now -= timedelta(minutes=10)
    assert _revoke(work).serials == (second.serial,)


def test_tokens_and_passages_go_too(work: AtWork) -> None:
    """Everything that let the agent in is returned and named in the journal; again names it again."""
    work.enroll(new_key(), agent(), work.token())
    work.bearer(agent(), new=False)
    revoked = _revoke(work)
    assert (revoked.tokens, len(revoked.serials)) == ((BearerId("b1"),), 1)
    assert _revoke(work).tokens == (BearerId("b1"),)
    entry = [found for found in journalled(work.database) if found.kind == "agent.revoked"][-1]
    assert entry.detail["tokens"] == ["b1"]


def test_a_revoked_gateway_takes_its_agents_passages_along(work: AtWork) -> None:
    """Its role ends with it; so it does with a reset."""
    for take in (_revoke, _reset):
        work.enroll(new_key(), agent(1), work.token(take.__name__.strip("_")))
        work.gateway(agent(1))
        passage = work.grants.admit(agent(1), agent(2), {}, "operator:ann", work.clock())
        assert take(work).passages == (passage,)
        assert take(work).passages == (passage,)
        assert work.grants.roles() == []
        _reset(work)


def test_a_revoked_agent_is_spoken_for_no_more(work: AtWork) -> None:
    """The gateway is named, and keeps the others."""
    work.enroll(new_key(), agent(1), work.token())
    work.gateway(agent(1))
    for number in (2, 3):
        work.grants.admit(agent(1), agent(number), {}, "operator:ann", work.clock())
    assert _revoke(work, number=2).passages == (Passage(agent(2), agent(1)),)
    entry = [found for found in journalled(work.database) if found.kind == "agent.revoked"][-1]
    assert entry.detail["gateways"] == [str(agent(1))]
    with work.database.read() as connection:
        assert gateways.passages_through(connection, agent(1)) == [Passage(agent(3), agent(1))]


def test_a_request_that_was_approved_waits_no_more(work: AtWork) -> None:
    """The key may be that of the host that was thrown out; so with a revocation and with a reset."""
    work.enroll(new_key(), agent(1), work.token())
    work.gateway(agent(1))
    for take in (_revoke, _reset):
        passage = work.grants.admit(agent(1), agent(2), {}, "operator:ann", work.clock())
        work.authority.enroll_through(csr(new_key(), agent(2)), passage, work.clock())
        [waits] = work.grants.requests()
        work.grants.approve(agent(2), waits.key, "operator:ann", work.clock())
        take(work, number=2)
        with work.database.read() as connection:
            assert connection.scalar(select(func.count()).select_from(waiting.waiting_requests)) == 0
        _reset(work, number=2)


def test_whether_an_agent_may_be_reset_is_asked_without_a_change(work: AtWork) -> None:
    """Who never enrolled may not, nor one that is banned."""
    for found, why in ((None, "never enrolled"), (Standing.BANNED, "is banned since")):
        with work.database.read() as connection, pytest.raises(RefusedError, match=why):
            revocation.require_resettable(connection, agent(), lift_ban=False)
        assert _standing(work) is found
        if found is None:
            work.enroll(new_key(), agent(), work.token())
            _revoke(work, ban=True)
    with work.database.read() as connection:
        enrollment = revocation.require_resettable(connection, agent(), lift_ban=True)
    assert enrollment.standing is Standing.BANNED
