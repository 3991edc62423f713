"""An enrollment token in hands it was not made for, or used beyond what it was made for.

Each case ends in a refusal that consumes nothing; the agent that came in before stays in.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from keys import tokens
from keys.certificate import Reason
from keys.errors import RefusedError, TokenRefusedError
from tests.fakes.authority import SECRET, AtWork, at_work
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.databases import journalled

ME, THIEF = agent(1), agent(2)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def _refused(work: AtWork, presented: str, why: str) -> None:
    before = [state.used for state in _all(work)]
    with pytest.raises(TokenRefusedError, match=why):
        work.authority.enroll(csr(new_key(), THIEF), presented, THIEF, work.clock())
    assert [state.used for state in _all(work)] == before
    assert work.credentials(THIEF) == []


def _all(work: AtWork) -> list[tokens.TokenState]:
    with work.database.read() as connection:
        return tokens.all_tokens(connection)


def test_a_token_used_up(work: AtWork) -> None:
    """Its one use was the first agent's; a second key is refused, and the first agent stays in."""
    token = work.token()
    mine = work.enroll(new_key(), ME, token)
    _refused(work, token, "t1 was used 1 times of 1")
    assert work.admission.admit(mine.serial, ME).agent == ME


def test_another_key_of_the_same_agent_on_a_used_up_token(work: AtWork) -> None:
    """Being the same agent by name is no proof: the key is."""
    token = work.token()
    mine = work.enroll(new_key(), ME, token)
    with pytest.raises(TokenRefusedError, match="t1 was used 1 times of 1"):
        work.enroll(new_key(), ME, token)
    assert [held.serial for held in work.credentials(ME)] == [mine.serial]


def test_a_token_expired(work: AtWork) -> None:
    """From the second of its end on."""
    token = work.token(life=timedelta(minutes=5))
    work.clock.advance(timedelta(minutes=5))
    _refused(work, token, "t1 expired at")


@pytest.mark.parametrize(
    "guess",
    [
        f"t1.{SECRET[:-1]}y",
        f"t1.{SECRET}0",
        "t1.",
        "t1",
        "",
        ".",
        f".{SECRET}",
        f"t2.{SECRET}",
        f"t1 .{SECRET}",
        f"t1%.{SECRET}",
        f"t1' OR '1'='1.{SECRET}",
        "t1." + "A" * 100_000,
        "\0",
    ],
    ids=lambda guess: repr(guess)[:20],
)
def test_a_token_guessed(work: AtWork, guess: str) -> None:
    """All guesses are refused in the same words, whether the token exists or not."""
    work.token()
    _refused(work, guess, "^enrollment token is not one of ours$")


def test_many_guesses_do_not_fill_the_journal(work: AtWork) -> None:
    """A hundred of them are two entries: one for the token that exists, one for all the others."""
    work.token()
    for number in range(50):
        _refused(work, f"t1.{number:043d}", "not one of ours")
        _refused(work, f"x{number}.{SECRET}", "not one of ours")
    refused = [entry for entry in journalled(work.database) if entry.kind == "token.refused"]
    assert sorted(entry.subject for entry in refused) == ["token:t1", "token:unknown"]


def test_a_token_revoked(work: AtWork) -> None:
    """With uses left and time left."""
    token = work.token(uses=5)
    with work.database.write() as connection:
        tokens.revoke(connection, "t1", actor="operator:ann", now=work.clock())
    _refused(work, token, "t1 was revoked at")


def test_a_token_of_an_agent_that_was_revoked(work: AtWork) -> None:
    """The same token and the same key, which get the same certificate otherwise, get nothing."""
    key, token = new_key(), work.token(uses=5)
    work.enroll(key, ME, token)
    work.authority.revoke(ME, Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    with pytest.raises(RefusedError, match="was revoked with serial"):
        work.enroll(key, ME, token)
    with pytest.raises(RefusedError, match=f"agent {ME} is revoked since"):
        work.enroll(new_key(), ME, token)
    assert work.token_state().used == 1
    assert work.admission.serials_of(ME) == ()


def test_a_good_token_for_an_agent_that_stands(work: AtWork) -> None:
    """Whoever holds a token does not take over an agent that is enrolled."""
    mine = work.enroll(new_key(), ME, work.token())
    stolen = work.token("t2", uses=5)
    with pytest.raises(RefusedError, match=f"agent {ME} is enrolled since"):
        work.enroll(new_key(), ME, stolen)
    assert work.token_state("t2").used == 0
    assert work.admission.admit(mine.serial, ME).agent == ME


def test_a_used_key_under_another_name(work: AtWork) -> None:
    """The same token and key do not make a second agent without consuming a use, nor with one."""
    key, token = new_key(), work.token(uses=5)
    work.enroll(key, ME, token)
    with pytest.raises(TokenRefusedError, match=f"by agent {ME}, not {THIEF}"):
        work.authority.enroll(csr(key, THIEF), token, THIEF, work.clock())
    assert work.token_state().used == 1
    assert work.credentials(THIEF) == []
