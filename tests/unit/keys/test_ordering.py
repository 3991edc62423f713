"""keys/ordering.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.certificate import Issued, Passage, Reason, Slot
from keys.errors import NotAdmittedError, RefusedError
from keys.ledger import State
from tests.fakes.authority import AtWork, at_work
from tests.fakes.breaking import BreakingIssuer, PowerCutError
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.databases import journalled


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


def _certify(work: AtWork, request: bytes, **labels: str) -> Issued:
    return work.authority.certify(request, agent(), labels, "operator:ann", work.clock())


def test_an_operator_certifies_a_new_agent(work: AtWork) -> None:
    """The first certificate is the current one; who ordered it stands in the journal."""
    key = new_key()
    issued = _certify(work, csr(key, agent()), env="prod")
    assert _certify(work, csr(key, agent())) == issued
    assert issued.slot is Slot.CURRENT
    assert work.admission.labels_of(agent()) == {"env": "prod"}
    ordered = [entry for entry in journalled(work.database) if entry.kind == "credential.ordered"]
    assert [(entry.actor, entry.subject) for entry in ordered] == [
        ("operator:ann", f"serial:{issued.serial}")
    ]


def test_another_request_of_an_agent_is_its_next_certificate(work: AtWork) -> None:
    """However it enrolled; a next one that was never used gives way to another key."""
    first = work.enroll(new_key(), agent(), work.token())
    second, third = _certify(work, csr(new_key(), agent())), _certify(work, csr(new_key(), agent()))
    assert (second.slot, third.slot) == (Slot.NEXT, Slot.NEXT)
    assert set(work.admission.serials_of(agent())) == {first.serial, third.serial}
    work.authority.promote(third.serial, work.clock())
    assert work.admission.serials_of(agent()) == (third.serial,)
    with pytest.raises(RefusedError, match="labels are changed by `label`"):
        _certify(work, csr(new_key(), agent()), env="prod")


def test_the_same_key_is_certified_anew_when_its_certificate_is_due(work: AtWork) -> None:
    """Before that it gets the certificate that it has."""
    key = new_key()
    first = _certify(work, csr(key, agent()))
    work.clock.now = first.not_before + (first.not_after - first.not_before) * 3 / 4
    following = _certify(work, csr(key, agent()))
    assert (following.slot, following.serial != first.serial) == (Slot.NEXT, True)


def test_an_unfinished_enrollment_gives_way_to_an_operators_order(work: AtWork) -> None:
    """What was begun for another key is abandoned."""
    _broken_off(work, new_key(), work.token())
    issued = _certify(work, csr(new_key(), agent()))
    assert _states(work) == [(Slot.CURRENT, State.ABANDONED), (Slot.CURRENT, State.LIVE)]
    assert work.admission.serials_of(agent()) == (issued.serial,)


def test_an_order_finishes_what_was_begun_for_its_key(work: AtWork) -> None:
    """As a repeated enrollment does."""
    key = new_key()
    _broken_off(work, key, work.token())
    _certify(work, csr(key, agent()))
    assert _states(work) == [(Slot.CURRENT, State.LIVE)]


def test_an_operator_does_not_certify_whom_one_revoked(work: AtWork) -> None:
    """Only after a reset, and then with a key that was never revoked; its labels come along."""
    key = new_key()
    _certify(work, csr(key, agent()), env="prod")
    work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    with pytest.raises(RefusedError, match="must reset it"):
        _certify(work, csr(new_key(), agent()))
    work.authority.reset(agent(), "operator:ann", work.clock())
    with pytest.raises(RefusedError, match="was revoked with serial"):
        _certify(work, csr(key, agent()))
    assert _certify(work, csr(new_key(), agent())).slot is Slot.CURRENT
    assert work.admission.labels_of(agent()) == {"env": "prod"}


def test_an_agent_behind_a_gateway_leaves_it_with_a_certificate_of_its_own(work: AtWork) -> None:
    """By an approval of its key: the passage ends in the transaction that makes the certificate live."""
    gateway = work.enroll(new_key(), agent(9), work.token())
    work.gateway(agent(9))
    passage = work.grants.admit(agent(9), agent(), {"site": "a"}, "operator:ann", work.clock())
    request = csr(new_key(), agent())
    assert work.authority.enroll_through(request, passage, work.clock()) is None
    assert work.admission.admit_through(passage, gateway.serial).agent == agent()
    [waits] = work.grants.requests()
    work.grants.approve(agent(), waits.key, "operator:ann", work.clock())
    issued = work.authority.enroll_through(request, passage, work.clock())
    assert issued is not None
    assert work.admission.held_by(agent()) == (issued.serial,)
    assert work.admission.labels_of(agent()) == {"site": "a"}
    assert work.grants.requests() == []
    with pytest.raises(NotAdmittedError, match="is not one that gateway"):
        work.admission.admit_through(Passage(agent(), agent(9)), gateway.serial)


def test_an_approval_dies_with_the_passage(work: AtWork) -> None:
    """What was approved for an agent behind a gateway is not given once nobody speaks for it."""
    work.enroll(new_key(), agent(9), work.token())
    work.gateway(agent(9))
    passage = work.grants.admit(agent(9), agent(), {}, "operator:ann", work.clock())
    request = csr(new_key(), agent())
    work.authority.enroll_through(request, passage, work.clock())
    [waits] = work.grants.requests()
    work.grants.approve(agent(), waits.key, "operator:ann", work.clock())
    work.grants.revoke_gateway(agent(9), "operator:ann", work.clock())
    with pytest.raises(RefusedError, match="is spoken for by no gateway any more"):
        work.authority.enroll_through(request, passage, work.clock())
    assert work.admission.held_by(agent()) == ()


def test_the_same_key_after_its_certificates_end_is_a_new_intent(work: AtWork) -> None:
    """What was given for the key before is over and cannot be given again."""
    key = new_key()
    first = _certify(work, csr(key, agent()))
    _certify(work, csr(new_key(), agent()))
    work.authority.promote(first.serial, work.clock())
    work.clock.now = first.not_after
    again = _certify(work, csr(key, agent()))
    assert (again.slot, again.serial != first.serial) == (Slot.NEXT, True)
