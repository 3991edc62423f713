"""keys/standing.py: what is not covered by the stories of keys/issuance.py and keys/authority.py."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from keys import ledger, standing
from keys.certificate import Reason, Serial, Slot
from keys.errors import NotAdmittedError, RefusedError, TakenError
from keys.ledger import Enrollment, Standing
from keys.policy import approve
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import DOMAIN, agent, csr, new_key

ME, OTHER = agent(1), agent(2)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def test_a_credential_that_may_be_renewed_is_known_mine_live_current_and_in_time(work: AtWork) -> None:
    """Each that is not says what it is."""
    mine = work.enroll(new_key(), ME, work.token())
    with work.database.read() as connection:
        found = standing.require_current(connection, mine.serial, ME, work.clock())
        assert (found.serial, found.slot) == (mine.serial, Slot.CURRENT)
        assert standing.require_known(connection, mine.serial) == found
        for serial, who, late, said in (
            (Serial(7), ME, timedelta(0), "is not in the ledger"),
            (mine.serial, OTHER, timedelta(0), f"belongs to agent {ME}, not to agent {OTHER}"),
            (mine.serial, ME, timedelta(days=4000), "ended at"),
        ):
            with pytest.raises(NotAdmittedError, match=said):
                standing.require_current(connection, serial, who, work.clock() + late)
        with pytest.raises(RefusedError, match="serial 7 is not in the ledger"):
            standing.require_known(connection, Serial(7))
    work.authority.revoke(ME, Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    with work.database.read() as connection, pytest.raises(NotAdmittedError, match="is revoked and current"):
        standing.require_current(connection, mine.serial, ME, work.clock())


def test_a_uid_is_free_after_a_reset_or_for_the_gateway_that_speaks_for_it(work: AtWork) -> None:
    """One in use is taken; one that was revoked is refused for good."""
    work.enroll(new_key(), OTHER, work.token())
    work.gateway(OTHER)
    work.grants.admit(OTHER, ME, {}, "operator:ann", work.clock())

    def enrollment(kind: Standing) -> Enrollment:
        return Enrollment(ME, "", {}, work.clock(), kind, work.clock())

    with work.database.read() as connection:
        standing.require_free(connection, enrollment(Standing.RESET), None)
        standing.require_free(connection, enrollment(Standing.ADMITTED), OTHER)
        for kind, through in ((Standing.ENROLLED, OTHER), (Standing.ADMITTED, None), (Standing.ADMITTED, ME)):
            with pytest.raises(TakenError):
                standing.require_free(connection, enrollment(kind), through)
        for kind in (Standing.REVOKED, Standing.BANNED):
            with pytest.raises(RefusedError, match="must reset it") as caught:
                standing.require_free(connection, enrollment(kind), None)
            assert type(caught.value) is RefusedError
        with pytest.raises(RefusedError, match="never enrolled, expected reset"):
            standing.require_standing(None, ME, Standing.RESET)


def test_a_key_is_nobody_elses_and_was_never_revoked(work: AtWork) -> None:
    """Its name in the ledger decides."""
    key = new_key()
    mine = work.enroll(key, ME, work.token())
    with work.database.read() as connection:
        standing.require_usable_key(connection, approve(csr(key, ME), expected=ME, trust_domain=DOMAIN))
        with pytest.raises(RefusedError, match=f"is agent {ME}'s, it came from agent {OTHER}"):
            standing.require_usable_key(
                connection, approve(csr(key, OTHER), expected=OTHER, trust_domain=DOMAIN)
            )
    work.authority.revoke(ME, Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    with work.database.read() as connection, pytest.raises(RefusedError, match="was revoked with serial"):
        standing.require_usable_key(connection, approve(csr(key, ME), expected=ME, trust_domain=DOMAIN))
    with work.database.read() as connection:
        held = ledger.credential(connection, mine.serial)
    assert held is not None
    assert not standing.is_due(held, held.not_after)
