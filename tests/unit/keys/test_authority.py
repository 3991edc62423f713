"""keys/authority.py: whole stories, the power cut between any two of their steps, and two at once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import AttributeOID

from keys import ledger
from keys.admission import Admission
from keys.certificate import Issued, Reason, Serial, Slot
from keys.errors import NotAdmittedError, RefusedError, TokenRefusedError
from keys.identity import AgentId
from keys.ledger import State
from storage import journal
from storage.errors import UnavailableError
from tests.fakes.authority import AtWork, at_work
from tests.fakes.breaking import BreakingDatabase, BreakingIssuer, Moment, PowerCutError
from tests.fakes.certificates import agent, csr, leaf_of, new_key, pem, request_builder
from tests.fakes.databases import journalled

CUTS = ["before intent", "after intent", "after signature", "before issue", "after issue", "before admission"]
WRITES = {
    "before intent": (1, Moment.BEFORE),
    "after intent": (1, Moment.AFTER),
    "before issue": (2, Moment.BEFORE),
    "after issue": (2, Moment.AFTER),
}


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def _break(work: AtWork, cut: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build the authority anew, so that its next story ends at `cut`."""
    if cut in WRITES:
        write, moment = WRITES[cut]
        work.restart(database=BreakingDatabase(work.database, write=write, moment=moment))
    elif cut == "after signature":
        work.restart(issuer=BreakingIssuer(work.ca.issuing_key, work.ca.issuing))
    else:
        work.restart()

        def no_power(_agent: AgentId) -> None:
            raise PowerCutError

        monkeypatch.setattr(work.admission, "refresh", no_power)


def _open(work: AtWork, who: AgentId) -> list[Serial]:
    with work.database.read() as connection:
        journal.verify(connection, None)
        return [held.serial for held in ledger.open_credentials(connection, who)]


def _renew(work: AtWork, request: bytes, presented: Issued) -> Issued:
    return work.authority.renew(request, presented.serial, agent(), work.clock())


def test_an_agent_enrolls_renews_and_goes_on(work: AtWork) -> None:
    """The way of a credential: current, next beside it, next used for the first time, old one gone."""
    first = work.enroll(new_key(), agent(), work.token())
    assert first.slot is Slot.CURRENT
    assert leaf_of(first.chain_pem).serial_number == first.serial.number
    work.clock.advance(timedelta(days=5))
    following = _renew(work, csr(new_key(), agent()), first)
    assert work.authority.promote(first.serial, work.clock()) == ()
    assert work.authority.promote(following.serial, work.clock()) == (first.serial,)
    assert work.authority.promote(following.serial, work.clock()) == ()
    assert work.admission.admit(following.serial, agent()).slot is Slot.CURRENT
    with pytest.raises(NotAdmittedError):
        work.admission.admit(first.serial)
    assert work.kinds()[-3:] == ["credential.renewed", "credential.superseded", "credential.promoted"]


def test_fractions_of_a_second_are_cut(work: AtWork) -> None:
    """What is answered and what is stored are the same moments."""
    work.clock.advance(timedelta(microseconds=999_999))
    issued = work.enroll(new_key(), agent(), work.token())
    assert issued.not_after.microsecond == 0
    assert issued.not_after == leaf_of(issued.chain_pem).not_valid_after_utc


@pytest.mark.parametrize("cut", CUTS)
def test_an_enrollment_survives_a_power_cut(work: AtWork, cut: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a cut at any step the retry gets one certificate, and the token's one use is one."""
    key, token = new_key(), work.token(uses=2)
    _break(work, cut, monkeypatch)
    with pytest.raises(PowerCutError):
        work.enroll(key, agent(), token)
    work.restart()
    begun = _open(work, agent())
    assert work.token_state().used == (0 if cut == "before intent" else 1)
    assert len(begun) == (0 if cut == "before intent" else 1)

    issued = work.enroll(key, agent(), token)
    assert work.enroll(key, agent(), token) == issued
    assert begun in ([], [issued.serial])
    assert _open(work, agent()) == [issued.serial]
    assert work.token_state().used == 1
    assert work.admission.admit(issued.serial, agent()).slot is Slot.CURRENT
    for kind in ("credential.intended", "credential.issued", "agent.enrolled"):
        assert work.kinds().count(kind) == 1


@pytest.mark.parametrize("cut", CUTS[1:])
def test_a_retry_after_a_power_cut_needs_no_valid_token(
    work: AtWork, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the use is recorded, neither the token's end nor its last use stands in the way."""
    key, token = new_key(), work.token()
    _break(work, cut, monkeypatch)
    with pytest.raises(PowerCutError):
        work.enroll(key, agent(), token)
    work.clock.advance(timedelta(hours=2))
    work.restart()
    issued = work.enroll(key, agent(), token)
    assert work.admission.admit(issued.serial, agent()).credential == issued.serial


@pytest.mark.parametrize("cut", CUTS)
def test_an_agent_revoked_after_a_power_cut_stays_out(
    work: AtWork, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry after the revocation finishes nothing."""
    key, token = new_key(), work.token()
    _break(work, cut, monkeypatch)
    with pytest.raises(PowerCutError):
        work.enroll(key, agent(), token)
    work.restart()
    if cut == "before intent":
        with pytest.raises(RefusedError, match="never enrolled"):
            work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "operator:ann", work.clock())
        return
    revoked = work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    with pytest.raises(RefusedError, match="was revoked with serial"):
        work.enroll(key, agent(), token)
    assert _open(work, agent()) == []
    with pytest.raises(NotAdmittedError):
        Admission(work.database, work.clock).admit(revoked.serials[0])


@pytest.mark.parametrize("cut", CUTS)
def test_a_renewal_survives_a_power_cut(work: AtWork, cut: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current certificate is good throughout; the retry gets one next one."""
    first = work.enroll(new_key(), agent(), work.token())
    request = csr(new_key(), agent())
    _break(work, cut, monkeypatch)
    with pytest.raises(PowerCutError):
        _renew(work, request, first)
    work.restart()
    assert work.admission.admit(first.serial, agent()).slot is Slot.CURRENT
    begun = [serial for serial in _open(work, agent()) if serial != first.serial]
    following = _renew(work, request, first)
    assert begun in ([], [following.serial])
    assert set(_open(work, agent())) == {first.serial, following.serial}
    assert work.authority.promote(following.serial, work.clock()) == (first.serial,)


@pytest.mark.parametrize("cut", ["before intent", "after intent", "before admission"])
def test_a_promotion_survives_a_power_cut(work: AtWork, cut: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the cut or after it, exactly one credential is current, and the other one is out."""
    first = work.enroll(new_key(), agent(), work.token())
    following = _renew(work, csr(new_key(), agent()), first)
    _break(work, cut, monkeypatch)
    with pytest.raises(PowerCutError):
        work.authority.promote(following.serial, work.clock())
    work.restart()
    work.authority.promote(following.serial, work.clock())
    assert _open(work, agent()) == [following.serial]
    assert work.admission.serials_of(agent()) == (following.serial,)
    assert work.kinds().count("credential.promoted") == 1


@pytest.mark.parametrize("moment", Moment)
def test_a_revocation_survives_a_power_cut(work: AtWork, moment: Moment) -> None:
    """It happened whole or not at all, and repeating it is enough."""
    issued = work.enroll(new_key(), agent(), work.token())
    work.restart(database=BreakingDatabase(work.database, write=1, moment=moment))
    with pytest.raises(PowerCutError):
        work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    assert _open(work, agent()) == ([issued.serial] if moment is Moment.BEFORE else [])
    work.restart()
    revoked = work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    assert revoked.serials == (issued.serial,)
    assert work.kinds().count("agent.revoked") == 1


def test_a_promotion_that_could_not_be_read_again_is_made_up_for(
    work: AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger has promoted and admission did not hear of it: the next connection still cuts the old."""
    first = work.enroll(new_key(), agent(), work.token())
    following = _renew(work, csr(new_key(), agent()), first)

    def unavailable(_agent: AgentId) -> None:
        raise UnavailableError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(work.admission, "refresh", unavailable)
        with pytest.raises(UnavailableError):
            work.authority.promote(following.serial, work.clock())
    assert work.authority.promote(following.serial, work.clock()) == (first.serial,)


def test_a_serial_that_died_meanwhile_is_not_promoted(work: AtWork) -> None:
    """The ledger decides, not the copy in memory."""
    first = work.enroll(new_key(), agent(), work.token())
    following = _renew(work, csr(new_key(), agent()), first)
    with work.database.write() as connection:
        ledger.end(connection, [following.serial], State.REVOKED, work.clock(), Reason.UNSPECIFIED)
    with pytest.raises(NotAdmittedError, match="is no longer live"):
        work.authority.promote(following.serial, work.clock())


def test_a_next_one_without_a_current_is_promoted(work: AtWork) -> None:
    """There is nothing to cut then."""
    first = work.enroll(new_key(), agent(), work.token())
    following = _renew(work, csr(new_key(), agent()), first)
    with work.database.write() as connection:
        ledger.end(connection, [first.serial], State.SUPERSEDED, work.clock(), Reason.SUPERSEDED)
    work.admission.refresh(agent())
    assert work.authority.promote(following.serial, work.clock()) == ()
    assert work.admission.admit(following.serial).slot is Slot.CURRENT


def test_a_revocation_is_in_force_when_it_returns(work: AtWork) -> None:
    """The serials to cut are returned, and refused at the next message and the next renewal."""
    first = work.enroll(new_key(), agent(), work.token())
    revoked = work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "operator:ann", work.clock(), ban=True)
    assert revoked.serials == (first.serial,)
    with pytest.raises(NotAdmittedError):
        work.admission.admit(first.serial, agent())
    with pytest.raises(NotAdmittedError):
        work.authority.promote(first.serial, work.clock())
    with pytest.raises(NotAdmittedError, match="is revoked and current"):
        _renew(work, csr(new_key(), agent()), first)
    with pytest.raises(RefusedError, match="is banned"):
        work.authority.reset(agent(), "operator:ann", work.clock())


def test_a_reset_is_in_force_when_it_returns(work: AtWork) -> None:
    """Out at once, and in again with a new key and a new token."""
    first = work.enroll(new_key(), agent(), work.token())
    assert work.authority.reset(agent(), "operator:ann", work.clock()).serials == (first.serial,)
    with pytest.raises(NotAdmittedError):
        work.admission.admit(first.serial)
    second = work.enroll(new_key(), agent(), work.token("t2"))
    assert work.admission.admit(second.serial, agent()).slot is Slot.CURRENT


def test_refusals_are_journalled_and_bounded(work: AtWork) -> None:
    """A token's refusal names the token; strangers' requests are noted once an hour, whoever they say."""
    token = work.token()
    work.enroll(new_key(), agent(), token)
    for number in (2, 3):
        with pytest.raises(TokenRefusedError, match="used 1 times of 1"):
            work.enroll(new_key(), agent(number), token)
        with pytest.raises(TokenRefusedError, match="not one of ours"):
            work.enroll(new_key(), agent(number), "t7.guess")
        with pytest.raises(RefusedError, match="PEM blocks"):
            work.authority.enroll(b"", token, agent(number), work.clock())
    refused = [entry for entry in journalled(work.database) if entry.kind.endswith(".refused")]
    assert [(entry.kind, entry.subject) for entry in refused] == [
        ("token.refused", "token:t1"),
        ("token.refused", "token:unknown"),
        ("credential.refused", f"agent:{agent(2)}"),
    ]


def test_a_refused_renewal_is_journalled(work: AtWork) -> None:
    """Under the agent, with the reason."""
    first = work.enroll(new_key(), agent(), work.token())
    with pytest.raises(RefusedError):
        work.authority.renew(csr(new_key(), agent(2)), first.serial, agent(), work.clock())
    last = journalled(work.database)[-1]
    assert (last.kind, last.subject) == ("credential.refused", f"agent:{agent()}")
    assert str(agent(2)) in str(last.detail["why"])


def test_a_request_through_a_gateway_may_carry_a_token(work: AtWork) -> None:
    """Its labels are the token's."""
    work.enroll(new_key(), agent(9), work.token())
    work.gateway(agent(9))
    passage = work.grants.admit(agent(9), agent(), {}, "operator:ann", work.clock())
    token = work.token("t2", labels={"env": "prod"}).encode()
    builder = request_builder(common_names=[str(agent())])
    request = pem(builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, token), new_key())
    assert work.authority.enroll_through(request, passage, work.clock()) is not None
    assert work.admission.labels_of(agent()) == {"env": "prod"}


def test_an_ordered_certificate_lets_its_agent_in(work: AtWork) -> None:
    """From the return of the call on."""
    given = work.authority.certify(csr(new_key(), agent()), None, {}, "operator:ann", work.clock())
    assert work.admission.admit(given.serial).agent == agent()
