"""An enrolled agent that asks for ever new certificates."""

from pathlib import Path

import pytest

from keys.certificate import Slot
from keys.errors import RefusedError
from keys.pace import RENEWALS_MAX, RENEWALS_SPAN
from tests.fakes.authority import at_work
from tests.fakes.certificates import agent, csr, new_key


def test_agent_cannot_fill_the_ledger_with_renewals(tmp_path: Path) -> None:
    """Each renewal with another key leaves rows and entries for ever; an hour has room for so many."""
    with at_work(tmp_path) as work:
        first = work.enroll(new_key(), agent(), work.token())
        renew = work.authority.renew
        for _ in range(RENEWALS_MAX - 1):
            renew(csr(new_key(), agent()), first.serial, agent(), work.clock())
        with pytest.raises(RefusedError, match="certificates in"):
            renew(csr(new_key(), agent()), first.serial, agent(), work.clock())
        work.clock.now += RENEWALS_SPAN
        assert renew(csr(new_key(), agent()), first.serial, agent(), work.clock()).slot is Slot.NEXT
