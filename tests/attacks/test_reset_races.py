"""An agent that enrolls again in the moment in which an operator resets it."""

from pathlib import Path

import pytest

from keys.certificate import Issued
from keys.identity import AgentId
from tests.fakes.authority import at_work
from tests.fakes.certificates import agent, new_key


def test_who_enrolls_at_once_after_a_reset_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reset's last step forgets what it took away, not what came after its commit."""
    with at_work(tmp_path) as work:
        work.enroll(new_key(), agent(), work.token())
        drop, again = work.admission.drop, []

        def late(who: AgentId) -> None:
            issued: Issued = work.enroll(new_key(), who, work.token("t2"))
            again.append(issued)
            drop(who)

        monkeypatch.setattr(work.admission, "drop", late)
        work.authority.reset(agent(), "operator:ann", work.clock())
        assert work.admission.admit(again[0].serial).agent == agent()
