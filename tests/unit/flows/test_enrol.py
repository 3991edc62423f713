"""The story of a credential, against a real authority."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.domain.connections import Credential
from distribution.flows.enrol import Caller, certify, promote
from keys.certificate import Slot
from keys.errors import NotAdmittedError, TokenRefusedError
from keys.identity import AgentId
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.live_connections import LiveConnections

WHO = agent(1)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as made:
        yield made


def _certify(work: AtWork, caller: Caller, known: list[AgentId]) -> Credential:
    return certify(
        work.authority,
        known.append,
        caller,
        WHO,
        csr(new_key(), WHO),
        heartbeat_seconds=30,
        number=4,
        now=work.clock(),
    )


def test_token_makes_an_agent(work: AtWork) -> None:
    """A stranger with a token gets the certificate, and the fleet gets to know it."""
    known: list[AgentId] = []
    credential = _certify(work, Caller(token=work.token()), known)
    held = work.credentials(WHO)[0]
    assert credential == Credential(held.chain_pem, 30, work.clock(), 4)
    assert known == [WHO]


def test_certificate_counts_before_the_token(work: AtWork) -> None:
    """An agent that is known renews; its token, if it shows one, is not used up."""
    first = work.enroll(new_key(), WHO, work.token())
    unused, known = work.token("t2"), list[AgentId]()
    credential = _certify(work, Caller(serial=first.serial, token=unused), known)
    renewed = next(held for held in work.credentials(WHO) if held.slot is Slot.NEXT)
    assert credential.chain_pem == renewed.chain_pem
    assert known == []
    assert work.token_state("t2").used == 0


def test_refused_stranger_stays_one(work: AtWork) -> None:
    """Who is refused is not made known."""
    known: list[AgentId] = []
    with pytest.raises(TokenRefusedError):
        _certify(work, Caller(token="nobody.secret"), known)
    assert known == []


def test_who_shows_nothing_gets_nothing(work: AtWork) -> None:
    """Neither a certificate nor a token."""
    with pytest.raises(NotAdmittedError, match=str(WHO)):
        _certify(work, Caller(), [])


def test_promotion_cuts_what_it_ends(work: AtWork) -> None:
    """Connections over the old certificate are closed, once."""
    first = work.enroll(new_key(), WHO, work.token())
    second = work.authority.renew(csr(new_key(), WHO), first.serial, WHO, work.clock())
    connections = LiveConnections({first.serial: 2, second.serial: 1})
    assert promote(work.authority, connections, second.serial, work.clock()) == 2
    assert promote(work.authority, connections, second.serial, work.clock()) == 0
    assert connections.cuts == [
        ((first.serial,), f"its certificate was superseded by serial {second.serial}")
    ]
