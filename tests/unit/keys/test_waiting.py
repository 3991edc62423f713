"""keys/waiting.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys import waiting
from keys.errors import RefusedError
from keys.policy import ApprovedRequest, approve
from keys.waiting import WaitingRequest
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import DOMAIN, agent, csr, new_key

GATEWAY, ONE = agent(1), agent(2)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        work.enroll(new_key(), GATEWAY, work.token())
        work.gateway(GATEWAY)
        work.grants.admit(GATEWAY, ONE, {}, "operator:ann", work.clock())
        yield work


def _request() -> ApprovedRequest:
    return approve(csr(new_key(), ONE), expected=ONE, trust_domain=DOMAIN)


def _ask(work: AtWork, request: ApprovedRequest) -> bool:
    with work.database.write() as connection:
        return waiting.is_approved(connection, request, work.clock())


def _approve(work: AtWork, key: str) -> WaitingRequest:
    with work.database.write() as connection:
        return waiting.approve(connection, ONE, key, actor="operator:ann", now=work.clock())


def test_a_request_waits_until_its_key_is_approved(work: AtWork) -> None:
    """Asking again writes nothing; what is approved is the key."""
    request = _request()
    key = request.spki_sha256.hex()
    assert not _ask(work, request)
    assert not _ask(work, request)
    with work.database.read() as connection:
        assert waiting.all_waiting(connection) == [WaitingRequest(ONE, key, work.clock(), None)]
    assert _approve(work, key.upper()) == WaitingRequest(ONE, key, work.clock(), work.clock())
    assert _ask(work, request)
    assert [kind for kind in work.kinds() if kind.startswith("request.")] == ["request.approved"]


def test_an_approval_is_for_one_key_and_for_a_time(work: AtWork) -> None:
    """Another key waits for itself, and takes the approval away from the first."""
    first, second = _request(), _request()
    _ask(work, first)
    _approve(work, first.spki_sha256.hex())
    with pytest.raises(RefusedError, match=f"asked for key {first.spki_sha256.hex()} at"):
        _ask(work, second)
    work.clock.advance(waiting.ANOTHER_AFTER)
    assert not _ask(work, second)
    work.clock.advance(waiting.ANOTHER_AFTER)
    assert not _ask(work, first)
    _approve(work, first.spki_sha256.hex())
    work.clock.advance(waiting.APPROVED_FOR)
    assert not _ask(work, first)


def test_what_does_not_wait_cannot_be_approved(work: AtWork) -> None:
    """Nor can a key that nobody asked for; both are named."""
    with pytest.raises(RefusedError, match=f"no request of agent {ONE} waits"):
        _approve(work, "00")
    request = _request()
    _ask(work, request)
    with pytest.raises(RefusedError, match=f"is for key {request.spki_sha256.hex()}, approved was '00'"):
        _approve(work, "00")


def test_a_request_waits_only_while_the_gateway_speaks_for_its_agent(work: AtWork) -> None:
    """Operators are not asked about agents that are gone."""
    _ask(work, _request())
    work.grants.revoke_gateway(GATEWAY, "operator:ann", work.clock())
    with work.database.read() as connection:
        assert waiting.all_waiting(connection) == []
