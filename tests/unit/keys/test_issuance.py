"""keys/issuance.py: what may be issued, to whom, and what is found instead."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from keys.certificate import Reason, Serial, Slot
from keys.errors import NotAdmittedError, RefusedError
from keys.issuance import Issuance
from keys.ledger import State
from keys.policy import approve
from keys.profile import AgentProfile
from tests.fakes.authority import AtWork, at_work
from tests.fakes.breaking import BreakingIssuer, PowerCutError
from tests.fakes.certificates import DOMAIN, agent, csr, new_key
from tests.fakes.databases import journalled

DAY = timedelta(days=1)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def _broken_off(work: AtWork, key: object, token: str) -> None:
    """Begin an enrollment and lose the power after the key was used."""
    work.restart(issuer=BreakingIssuer(work.ca.issuing_key, work.ca.issuing))
    with pytest.raises(PowerCutError):
        work.enroll(key, agent(), token)  # type: ignore[arg-type]
    work.restart()


def _states(work: AtWork) -> list[tuple[Slot, State]]:
    return [(held.slot, held.state) for held in work.credentials(agent())]


def test_an_enrollment_is_intended_issued_and_journalled(work: AtWork) -> None:
    """The journal tells the serial before the key was used, and what would be signed."""
    issued = work.enroll(new_key(), agent(), work.token(labels={"env": "prod"}))
    created, intended, made, enrolled = journalled(work.database)
    assert created.kind == "token.created"
    assert (intended.kind, intended.subject) == ("credential.intended", f"serial:{issued.serial}")
    [held] = work.credentials(agent())
    assert intended.detail["unsigned_sha256"] == held.unsigned_sha256.hex()
    assert (made.kind, made.actor) == ("credential.issued", f"agent:{agent()}")
    assert (enrolled.kind, enrolled.subject) == ("agent.enrolled", f"agent:{agent()}")
    assert enrolled.detail == {"serial": str(issued.serial), "token": "t1", "labels": {"env": "prod"}}


def test_the_same_token_and_key_give_the_same_certificate(work: AtWork) -> None:
    """Nothing is consumed and nothing is journalled, also after the token has expired."""
    key, token = new_key(), work.token()
    first = work.enroll(key, agent(), token)
    before = work.kinds()
    assert work.enroll(key, agent(), token) == first
    work.clock.advance(DAY)
    assert work.enroll(key, agent(), token) == first
    assert work.token_state().used == 1
    assert work.kinds() == before


def test_an_agent_that_stands_is_not_enrolled_by_another_key(work: AtWork) -> None:
    """A second token does not take an agent over; an operator must reset it."""
    first = work.enroll(new_key(), agent(), work.token())
    with pytest.raises(RefusedError, match=f"agent {agent()} is enrolled since .* must reset"):
        work.enroll(new_key(), agent(), work.token("t2"))
    assert work.admission.admit(first.serial).agent == agent()
    assert work.token_state("t2").used == 0


def test_a_reset_agent_enrolls_again_with_a_new_key(work: AtWork) -> None:
    """And gets the labels of the new token."""
    first = work.enroll(new_key(), agent(), work.token(labels={"env": "old"}))
    work.authority.reset(agent(), "operator:ann", work.clock())
    second = work.enroll(new_key(), agent(), work.token("t2", labels={"env": "new"}))
    assert second.serial != first.serial
    assert work.admission.labels_of(agent()) == {"env": "new"}
    assert work.admission.admit(second.serial).agent == agent()


@pytest.mark.parametrize("ban", [False, True])
def test_a_revoked_agent_does_not_come_back(work: AtWork, *, ban: bool) -> None:
    """Neither with its old token and key, nor with new ones; the new token is not consumed."""
    key, token = new_key(), work.token()
    work.enroll(key, agent(), token)
    work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "operator:ann", work.clock(), ban=ban)
    with pytest.raises(RefusedError, match="was revoked with serial"):
        work.enroll(key, agent(), token)
    with pytest.raises(RefusedError, match=r"is (revoked|banned) since"):
        work.enroll(new_key(), agent(), work.token("t2"))
    assert work.token_state("t2").used == 0


def test_a_revoked_key_is_never_certified_again(work: AtWork) -> None:
    """Also after a reset, and with another token."""
    key, first = new_key(), work.token()
    work.enroll(key, agent(), first)
    work.authority.reset(agent(), "operator:ann", work.clock())
    for token in (first, work.token("t2")):
        with pytest.raises(RefusedError, match="a new key is needed"):
            work.enroll(key, agent(), token)


def test_another_agents_key_is_refused(work: AtWork) -> None:
    """Two agents with one key are a copied disk; both are named."""
    key = new_key()
    work.enroll(key, agent(), work.token())
    with pytest.raises(RefusedError, match=f"is agent {agent()}'s, it came from agent {agent(2)}"):
        work.enroll(key, agent(2), work.token("t2"))


def test_a_certificate_that_has_ended_is_not_given_again(work: AtWork) -> None:
    """An agent that was away too long needs an operator."""
    key, token = new_key(), work.token()
    issued = work.enroll(key, agent(), token)
    work.clock.now = issued.not_after
    with pytest.raises(RefusedError, match=r"is over since .* must reset"):
        work.enroll(key, agent(), token)


def test_a_certificate_that_was_superseded_is_not_given_again(work: AtWork) -> None:
    """The agent renewed and went on; its first request, repeated, gets nothing that would not be admitted."""
    key, token = new_key(), work.token()
    first = work.enroll(key, agent(), token)
    following = work.authority.renew(csr(new_key(), agent()), first.serial, agent(), work.clock())
    work.authority.promote(following.serial, work.clock())
    with pytest.raises(RefusedError, match=f"serial {first.serial} of agent {agent()}"):
        work.enroll(key, agent(), token)


def test_an_agent_whose_token_use_outlived_its_standing_is_refused(work: AtWork) -> None:
    """Even if nothing but an abandoned intent is left of it."""
    key, token = new_key(), work.token()
    work.enroll(key, agent(), token)
    with work.database.write() as connection:
        connection.exec_driver_sql("UPDATE credentials SET state = 'abandoned'")
    work.authority.revoke(agent(), Reason.UNSPECIFIED, "operator:ann", work.clock())
    with pytest.raises(RefusedError, match="is revoked since"):
        work.enroll(key, agent(), token)


def test_a_token_use_without_an_agent_is_refused(work: AtWork) -> None:
    """A ledger that lost its row is not made up for."""
    key, token = new_key(), work.token()
    work.enroll(key, agent(), token)
    with work.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM credentials")
        connection.exec_driver_sql("DELETE FROM enrollments")
    with pytest.raises(RefusedError, match="never enrolled, expected enrolled"):
        work.enroll(key, agent(), token)


def test_an_intent_is_finished_with_its_own_serial(work: AtWork) -> None:
    """The retry signs what was recorded; the use of the token stays one."""
    key, token = new_key(), work.token()
    _broken_off(work, key, token)
    [intent] = work.credentials(agent())
    work.clock.advance(timedelta(hours=2))
    assert work.enroll(key, agent(), token).serial == intent.serial
    assert _states(work) == [(Slot.CURRENT, State.LIVE)]
    assert work.token_state().used == 1


def test_an_intent_of_another_profile_is_abandoned(work: AtWork) -> None:
    """Shorter lives were decided meanwhile: what would be signed differs, so it gets a new serial."""
    key, token = new_key(), work.token()
    _broken_off(work, key, token)
    [intent] = work.credentials(agent())
    work.profile = AgentProfile(DOMAIN, validity=DAY)
    work.restart()
    issued = work.enroll(key, agent(), token)
    assert issued.serial != intent.serial
    assert issued.not_after == work.clock() + DAY
    assert sorted(_states(work), key=str) == [
        (Slot.CURRENT, State.ABANDONED),
        (Slot.CURRENT, State.LIVE),
    ]
    assert work.token_state().used == 1
    assert work.enroll(key, agent(), token) == issued


def test_a_renewal_goes_to_the_next_slot(work: AtWork) -> None:
    """The current one stays; the same key gets the same certificate again."""
    first = work.enroll(new_key(), agent(), work.token())
    request = csr(new_key(), agent())
    following = work.authority.renew(request, first.serial, agent(), work.clock())
    assert following.slot is Slot.NEXT
    assert work.authority.renew(request, first.serial, agent(), work.clock()) == following
    assert work.kinds().count("credential.renewed") == 1
    assert {work.admission.admit(one.serial).slot for one in (first, following)} == set(Slot)


def test_another_key_takes_the_place_of_an_unused_next_one(work: AtWork) -> None:
    """An agent that lost its new key before it used it asks again; at no time are there two next ones."""
    first = work.enroll(new_key(), agent(), work.token())
    lost = work.authority.renew(csr(new_key(), agent()), first.serial, agent(), work.clock())
    following = work.authority.renew(csr(new_key(), agent()), first.serial, agent(), work.clock())
    with pytest.raises(NotAdmittedError):
        work.admission.admit(lost.serial)
    assert work.admission.admit(following.serial).slot is Slot.NEXT
    assert _states(work).count((Slot.NEXT, State.SUPERSEDED)) == 1


def test_an_ended_next_one_is_not_given_again(work: AtWork) -> None:
    """A renewal repeated after the next certificate's end makes a new one."""
    key = new_key()
    work.profile = AgentProfile(DOMAIN, validity=DAY)
    first = work.enroll(new_key(), agent(), work.token())
    work.restart()
    ended = work.authority.renew(csr(key, agent()), first.serial, agent(), work.clock())
    assert ended.not_after == work.clock() + DAY
    work.clock.advance(DAY)
    again = work.authority.renew(csr(key, agent()), first.serial, agent(), work.clock())
    assert again.serial != ended.serial


def test_the_current_key_gets_its_certificate_until_it_is_due(work: AtWork) -> None:
    """A request repeated after its answer was used makes nothing new; at two thirds of the life it renews."""
    key = new_key()
    first = work.enroll(key, agent(), work.token())
    assert work.authority.renew(csr(key, agent()), first.serial, agent(), work.clock()) == first
    work.clock.advance(timedelta(days=5))
    following = work.authority.renew(csr(key, agent()), first.serial, agent(), work.clock())
    assert following.slot is Slot.NEXT


def test_only_a_live_current_credential_renews(work: AtWork) -> None:
    """Unknown, another's, next, superseded, ended, revoked: each is refused with its state."""
    request = csr(new_key(), agent())
    first = work.enroll(new_key(), agent(), work.token())
    following = work.authority.renew(request, first.serial, agent(), work.clock())

    def refused(presented: Serial, why: str, number: int = 1) -> None:
        asked = csr(new_key(), agent(number))
        with pytest.raises(NotAdmittedError, match=why):
            work.authority.renew(asked, presented, agent(number), work.clock())

    refused(Serial(0xABC), "serial abc is not in the ledger")
    refused(first.serial, f"belongs to agent {agent()}, not to agent {agent(2)}", number=2)
    refused(following.serial, "is live and next, expected live and current")
    work.authority.promote(following.serial, work.clock())
    refused(first.serial, "is superseded and current")
    work.clock.now = following.not_after
    refused(following.serial, "ended at")
    work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    refused(following.serial, "is revoked and current")


def test_what_was_revoked_while_the_key_was_at_work_is_not_handed_out(work: AtWork) -> None:
    """The second transaction finds the intent gone."""
    request = approve(csr(new_key(), agent()), expected=agent(), trust_domain=DOMAIN)
    issuance = Issuance(work.ca.issuer, work.profile, work.serials)
    token = work.token()
    with work.database.write() as connection:
        pending = issuance.intend_enrollment(connection, request, token, work.clock())
    assert pending.draft is not None
    chain = work.ca.issuer.sign(pending.draft)
    work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    with (
        pytest.raises(RefusedError, match="was revoked before it was finished"),
        work.database.write() as connection,
    ):
        issuance.store(connection, pending.held, chain, work.clock())


def test_of_two_that_finish_one_intent_both_get_the_stored_one(work: AtWork) -> None:
    """The second finds it live, and journals nothing."""
    request = approve(csr(new_key(), agent()), expected=agent(), trust_domain=DOMAIN)
    issuance = Issuance(work.ca.issuer, work.profile, work.serials)
    token = work.token()
    with work.database.write() as connection:
        pending = issuance.intend_enrollment(connection, request, token, work.clock())
    with work.database.write() as connection:
        first = issuance.store(connection, pending.held, b"first", work.clock())
        assert issuance.store(connection, pending.held, b"second", work.clock()) == first
    assert first.chain_pem == b"first"
    assert work.kinds().count("agent.enrolled") == 1


def test_a_serial_that_left_the_ledger_is_not_stored(work: AtWork) -> None:
    """It is named."""
    request = approve(csr(new_key(), agent()), expected=agent(), trust_domain=DOMAIN)
    issuance = Issuance(work.ca.issuer, work.profile, work.serials)
    token = work.token()
    with work.database.write() as connection:
        pending = issuance.intend_enrollment(connection, request, token, work.clock())
        connection.exec_driver_sql("DELETE FROM credentials")
    with (
        pytest.raises(RefusedError, match=f"serial {pending.held.serial} is not in the ledger"),
        work.database.write() as connection,
    ):
        issuance.store(connection, pending.held, b"", work.clock())
