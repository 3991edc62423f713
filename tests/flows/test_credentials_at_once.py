"""Two and more who want a credential at the same moment.

Which of them wins is left to chance; that the outcome is whole is not.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keys import ledger
from keys.certificate import Issued, Reason, Serial, Slot
from keys.errors import KeysError, TokenRefusedError
from keys.identity import AgentId
from storage import journal
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, csr, new_key


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def _open(work: AtWork, who: AgentId) -> list[Serial]:
    with work.database.read() as connection:
        journal.verify(connection, None)
        return [held.serial for held in ledger.open_credentials(connection, who)]


def _at_once(*stories: Callable[[], Issued]) -> list[Issued | KeysError]:
    """Run the stories in as many threads, begun together; return what each came to."""
    begin = threading.Barrier(len(stories))
    results: list[Issued | KeysError] = []

    def run(story: Callable[[], Issued]) -> None:
        begin.wait()
        try:
            results.append(story())
        except KeysError as exc:
            results.append(exc)

    threads = [threading.Thread(target=run, args=(story,)) for story in stories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_the_last_use_of_a_token_is_won_by_one(work: AtWork) -> None:
    """Of eight agents that enroll at once with two uses, two get in."""
    token = work.token(uses=2)
    stories = [
        lambda number=number: work.enroll(new_key(), agent(number), token)  # type: ignore[misc]
        for number in range(1, 9)
    ]
    results = _at_once(*stories)
    won = [result for result in results if isinstance(result, Issued)]
    lost = [result for result in results if isinstance(result, TokenRefusedError)]
    assert (len(won), len(lost)) == (2, 6)
    assert work.token_state().used == 2
    for issued in won:
        assert work.admission.admit(issued.serial, issued.agent).slot is Slot.CURRENT


def test_one_key_that_asks_many_times_at_once_gets_one_certificate(work: AtWork) -> None:
    """The same bytes for all, one use, one entry in the journal."""
    key, token = new_key(), work.token()
    results = _at_once(*[lambda: work.enroll(key, agent(), token)] * 4)
    assert len(set(map(repr, results))) == 1
    assert isinstance(results[0], Issued)
    assert work.token_state().used == 1
    assert work.kinds().count("agent.enrolled") == 1


def test_two_tokens_at_once_make_one_agent(work: AtWork) -> None:
    """The second key is refused, whichever it is, and its token is not consumed."""
    tokens = [work.token("t1"), work.token("t2")]
    results = _at_once(*[lambda token=token: work.enroll(new_key(), agent(), token) for token in tokens])  # type: ignore[misc]
    assert sorted(type(result).__name__ for result in results) == ["Issued", "TakenError"]
    assert work.token_state("t1").used + work.token_state("t2").used == 1
    assert len(_open(work, agent())) == 1


def test_a_revocation_beside_a_renewal_leaves_nothing_open(work: AtWork) -> None:
    """Whichever comes first, the agent is out at the end, in the ledger and in memory."""
    for number in range(1, 6):
        who = agent(number)
        first = work.enroll(new_key(), who, work.token(f"t{number}"))

        def renew(who: AgentId = who, first: Issued = first) -> Issued:
            return work.authority.renew(csr(new_key(), who), first.serial, who, work.clock())

        def revoke(who: AgentId = who, first: Issued = first) -> Issued:
            work.authority.revoke(who, Reason.KEY_COMPROMISE, "operator:ann", work.clock())
            return first

        _at_once(renew, revoke)
        assert _open(work, who) == []
        assert work.admission.serials_of(who) == ()
