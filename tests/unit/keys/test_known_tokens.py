"""keys/known_tokens.py: what is remembered of tokens, and for how long."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from keys import tokens
from keys.known_tokens import KnownTokens
from tests.fakes.authority import SECRET, AtWork, at_work


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def test_a_token_that_was_made_is_known_at_once_and_after_a_restart(work: AtWork) -> None:
    """From memory when it is made, from the database at the start."""
    presented = work.token("t1")
    assert (work.known_tokens.holds(presented), len(work.known_tokens)) == (True, 1)
    work.restart()
    assert (work.known_tokens.holds(presented), len(work.known_tokens)) == (True, 1)


@pytest.mark.parametrize(
    "made_up",
    [
        f"t2.{SECRET}",
        f"t1.{SECRET[:-1]}y",
        f"t1.{SECRET}0",
        f"T1.{SECRET}",
        "t1",
        "t1.",
        ".",
        "",
        "t1." + "A" * 100_000,
        "\ud800.\ud800",
    ],
    ids=lambda text: repr(text)[:12],
)
def test_made_up_tokens_are_not(work: AtWork, made_up: str) -> None:
    """Neither an id of ours with another secret, nor anything else."""
    work.token("t1")
    assert not work.known_tokens.holds(made_up)


def test_a_revoked_token_is_not_known(work: AtWork) -> None:
    """When it is revoked, and after a restart; to forget one that is not there does nothing."""
    presented = work.token("t1")
    with work.database.write() as connection:
        tokens.revoke(connection, "t1", actor="operator:ann", now=work.clock())
    work.known_tokens.forget("t1")
    work.known_tokens.forget("t1")
    assert not work.known_tokens.holds(presented)
    assert len(KnownTokens(work.database, work.clock)) == 0


def test_an_expired_token_is_not_known(work: AtWork) -> None:
    """From the second of its end; it is forgotten when the next one is made, or the server starts."""
    presented = work.token("t1", life=timedelta(minutes=5))
    work.clock.advance(timedelta(minutes=5))
    assert (work.known_tokens.holds(presented), len(work.known_tokens)) == (False, 1)
    later = work.token("t2")
    assert (work.known_tokens.holds(later), len(work.known_tokens)) == (True, 1)
    assert len(KnownTokens(work.database, work.clock)) == 1


def test_no_secret_is_shown(work: AtWork) -> None:
    """What is remembered of one does not stand in any text."""
    work.token("t1")
    assert "secret_sha256" not in repr(work.known_tokens._known)
