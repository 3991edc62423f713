"""One agent's certificate, used to speak for another agent.

The certificate is genuine and live throughout; what is refused is the name on the message.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.certificate import Issued
from keys.errors import NotAdmittedError, RefusedError
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, csr, new_key

THIEF, VICTIM, NOBODY = agent(1), agent(2), agent(3)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


@pytest.fixture
def stolen(work: AtWork) -> Issued:
    """Enroll both agents; what the thief presents is his own certificate."""
    work.enroll(new_key(), VICTIM, work.token("t2"))
    return work.enroll(new_key(), THIEF, work.token("t1"))


@pytest.mark.parametrize("claimed", [VICTIM, NOBODY])
def test_a_message_of_another_agent(work: AtWork, stolen: Issued, claimed: object) -> None:
    """Refused, both agents and the serial named; the thief's own messages are still his."""
    with pytest.raises(
        NotAdmittedError,
        match=f"serial {stolen.serial} belongs to agent {THIEF}, the message is of agent {claimed}",
    ):
        work.admission.admit(stolen.serial, claimed)  # type: ignore[arg-type]
    assert work.admission.admit(stolen.serial, THIEF).agent == THIEF


def test_a_renewal_in_another_agents_name(work: AtWork, stolen: Issued) -> None:
    """A request that names the victim, under the victim's uid, from the thief's connection."""
    before = work.credentials(VICTIM)
    with pytest.raises(NotAdmittedError, match=f"belongs to agent {THIEF}, not to agent {VICTIM}"):
        work.authority.renew(csr(new_key(), VICTIM), stolen.serial, VICTIM, work.clock())
    assert work.credentials(VICTIM) == before
    assert work.kinds()[-1] == "credential.refused"


def test_a_renewal_for_another_agent(work: AtWork, stolen: Issued) -> None:
    """A request that names the victim, under the thief's own uid."""
    before = work.credentials(VICTIM)
    with pytest.raises(RefusedError, match=f"names agent {VICTIM}, it was sent by agent {THIEF}"):
        work.authority.renew(csr(new_key(), VICTIM), stolen.serial, THIEF, work.clock())
    assert work.credentials(VICTIM) == before


def test_a_next_certificate_in_another_agents_name(work: AtWork, stolen: Issued) -> None:
    """The next one is bound to its agent as the current one is."""
    following = work.authority.renew(csr(new_key(), THIEF), stolen.serial, THIEF, work.clock())
    with pytest.raises(NotAdmittedError, match=f"belongs to agent {THIEF}"):
        work.admission.admit(following.serial, VICTIM)


def test_a_superseded_certificate(work: AtWork, stolen: Issued) -> None:
    """Who copied it before the renewal has nothing after the next one was used."""
    following = work.authority.renew(csr(new_key(), THIEF), stolen.serial, THIEF, work.clock())
    assert work.authority.promote(following.serial, work.clock()) == (stolen.serial,)
    with pytest.raises(NotAdmittedError, match=f"serial {stolen.serial} is not the current or next one"):
        work.admission.admit(stolen.serial, THIEF)
    with pytest.raises(NotAdmittedError, match="is superseded and current"):
        work.authority.renew(csr(new_key(), THIEF), stolen.serial, THIEF, work.clock())


def test_a_renewal_with_a_key_that_was_revoked(work: AtWork) -> None:
    """The key of a revoked life does not come back in the next one."""
    stolen_key = new_key()
    work.enroll(stolen_key, VICTIM, work.token())
    work.authority.reset(VICTIM, "operator:ann", work.clock())
    mine = work.enroll(new_key(), VICTIM, work.token("t2"))
    with pytest.raises(RefusedError, match="a new key is needed"):
        work.authority.renew(csr(stolen_key, VICTIM), mine.serial, VICTIM, work.clock())
    assert work.admission.serials_of(VICTIM) == (mine.serial,)
