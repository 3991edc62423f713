"""What becomes of a credential that was begun: finished as it was, or abandoned where it no longer fits."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from keys.certificate import Serial, Slot
from keys.errors import IssuerError, LintError
from keys.ledger import State
from tests.fakes.authority import AtWork, at_work
from tests.fakes.breaking import BreakingIssuer, PowerCutError
from tests.fakes.certificates import agent, csr, new_key, small_ca

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


def test_an_intent_of_another_issuer_is_abandoned(work: AtWork) -> None:
    """The CA was changed between the crash and the retry."""
    key, token = new_key(), work.token()
    _broken_off(work, key, token)
    [intent] = work.credentials(agent())
    work.ca = small_ca()
    work.restart()
    assert work.enroll(key, agent(), token).serial != intent.serial


def test_an_intent_whose_time_is_over_is_abandoned(work: AtWork) -> None:
    """A retry after its end gets a certificate that holds from now."""
    key, token = new_key(), work.token()
    _broken_off(work, key, token)
    later = work.clock.advance(timedelta(days=30))
    assert work.enroll(key, agent(), token).not_after == later + work.profile.validity


def test_a_broken_off_renewal_is_finished(work: AtWork) -> None:
    """With its own serial; and another key abandons it."""
    first = work.enroll(new_key(), agent(), work.token())
    request = csr(new_key(), agent())
    work.restart(issuer=BreakingIssuer(work.ca.issuing_key, work.ca.issuing))
    for attempt in (request, csr(new_key(), agent())):
        with pytest.raises(PowerCutError):
            work.authority.renew(attempt, first.serial, agent(), work.clock())
    work.restart()
    finished = work.authority.renew(attempt, first.serial, agent(), work.clock())
    assert finished.serial in {held.serial for held in work.credentials(agent())}
    assert sorted(state.value for _, state in _states(work)) == ["abandoned", "live", "live"]


def test_a_ca_that_ends_too_early_consumes_nothing(tmp_path: Path) -> None:
    """The leaf would outlive its issuer: no intent, no use, both ends named."""
    with at_work(tmp_path, ca=small_ca(issuing_life=DAY)) as work:
        token = work.token()
        with pytest.raises(IssuerError, match=r"would end at .* after its issuer"):
            work.enroll(new_key(), agent(), token)
        assert work.token_state().used == 0
        assert work.kinds() == ["token.created"]


def test_a_lint_finding_consumes_nothing(work: AtWork) -> None:
    """A fault of ours does not cost the operator his token."""
    token = work.token()
    work.serials = lambda: Serial(7)  # type: ignore[assignment]
    work.restart()
    with pytest.raises(LintError, match="serial has 3 bits"):
        work.enroll(new_key(), agent(), token)
    assert work.token_state().used == 0
