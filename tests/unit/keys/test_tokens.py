"""keys/tokens.py."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from keys import tokens
from keys.errors import RefusedError, TokenRefusedError
from keys.tokens import Grant, TokenState
from storage.database import Database
from tests.fakes.certificates import NOW, agent
from tests.fakes.databases import journalled, opened

SECRET = "top-secret_" + "x" * 32
KEY, OTHER_KEY = bytes([1]) * 32, bytes([2]) * 32
HOUR = timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def _create(database: Database, **changes: Any) -> TokenState:
    values: dict[str, Any] = {
        "token_id": "t1",
        "secret": SECRET,
        "salt": bytes(16),
        "labels": {"env": "prod"},
        "expires_at": NOW + HOUR,
        "uses": 1,
        "actor": "operator:ann",
        "now": NOW,
    }
    with database.write() as connection:
        return tokens.create(connection, **{**values, **changes})


def _redeem(
    database: Database, presented: str = f"t1.{SECRET}", *, key: bytes = KEY, number: int = 1, late: int = 0
) -> Grant:
    with database.write() as connection:
        return tokens.redeem(
            connection, presented, agent=agent(number), spki_sha256=key, now=NOW + late * HOUR
        )


def _used(database: Database) -> int:
    with database.read() as connection:
        return tokens.all_tokens(connection)[0].used


def test_a_created_token_is_listed_and_journalled(database: Database) -> None:
    """An operator sees everything but the secret."""
    made = _create(database)
    with database.read() as connection:
        assert tokens.all_tokens(connection) == [made]
    [entry] = journalled(database)
    assert (entry.kind, entry.actor, entry.subject) == ("token.created", "operator:ann", "token:t1")
    assert SECRET not in str(entry) + repr(made)


def test_only_a_salted_hash_is_stored(database: Database, tmp_path: Path) -> None:
    """The secret is nowhere in the row, and the same secret with another salt has another hash."""
    _create(database)
    _create(database, token_id="t2", salt=bytes([1]) * 16)
    with database.read() as connection:
        first, second = connection.execute(select(tokens.enrollment_tokens)).all()
    assert SECRET not in str(first)
    assert first.secret_sha256 != second.secret_sha256
    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_token_gives_its_labels_and_is_consumed(database: Database) -> None:
    """One use less."""
    _create(database)
    assert _redeem(database) == Grant("t1", {"env": "prod"}, again=False)
    assert _used(database) == 1


def test_the_same_key_consumes_nothing(database: Database) -> None:
    """Also when the token is used up, and when it has expired."""
    _create(database)
    _redeem(database)
    assert _redeem(database).again
    assert _redeem(database, late=2).again
    assert _used(database) == 1


def test_a_use_that_is_rolled_back_was_none(database: Database) -> None:
    """Checking and consuming is part of the caller's transaction."""
    _create(database)

    def fail() -> None:
        with database.write() as connection:
            tokens.redeem(connection, f"t1.{SECRET}", agent=agent(), spki_sha256=KEY, now=NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert _used(database) == 0
    assert not _redeem(database).again


def test_a_token_used_up_is_refused_to_another_key(database: Database) -> None:
    """Both counts are named."""
    _create(database)
    _redeem(database)
    with pytest.raises(TokenRefusedError, match="t1 was used 1 times of 1") as caught:
        _redeem(database, key=OTHER_KEY, number=2)
    assert caught.value.token_id == "t1"


def test_an_expired_token_is_refused(database: Database) -> None:
    """From the second it expires; both times are named."""
    _create(database)
    with pytest.raises(
        TokenRefusedError, match=r"expired at 2026-06-01T13:00:00.*now is 2026-06-01T13:00:00"
    ):
        _redeem(database, late=1)


def test_a_revoked_token_is_refused_to_everybody(database: Database) -> None:
    """Also to the key that used it before: whoever revokes a token means it."""
    _create(database, uses=2)
    _redeem(database)
    with database.write() as connection:
        tokens.revoke(connection, "t1", actor="operator:ann", now=NOW)
    for key in (KEY, OTHER_KEY):
        with pytest.raises(TokenRefusedError, match="was revoked at"):
            _redeem(database, key=key)


def test_revoking_twice_is_once(database: Database) -> None:
    """The second time changes and journals nothing."""
    _create(database)
    with database.write() as connection:
        first = tokens.revoke(connection, "t1", actor="operator:ann", now=NOW)
        assert tokens.revoke(connection, "t1", actor="operator:bob", now=NOW + HOUR) == first
    assert [entry.kind for entry in journalled(database)] == ["token.created", "token.revoked"]


def test_revoking_what_does_not_exist_is_refused(database: Database) -> None:
    """The id is named."""
    with pytest.raises(RefusedError, match="'t9' does not exist"), database.write() as connection:
        tokens.revoke(connection, "t9", actor="operator:ann", now=NOW)


def test_a_key_that_another_agent_used_is_refused(database: Database) -> None:
    """One key, one agent; both are named."""
    _create(database, uses=2)
    _redeem(database)
    with pytest.raises(TokenRefusedError, match=f"by agent {agent()}, not {agent(2)}"):
        _redeem(database, number=2)


@pytest.mark.parametrize(
    ("presented", "known"),
    [
        (f"t2.{SECRET}", None),
        (f"T1.{SECRET}", None),
        ("", None),
        ("t1", "t1"),
        ("t1.", "t1"),
        (f"t1.{SECRET}x", "t1"),
        (f"t1.{SECRET[:-1]}", "t1"),
        ("t1." + "x" * 1000, "t1"),
        ("t1.\udcff", "t1"),
    ],
)
def test_a_guess_is_refused_in_the_same_words(database: Database, presented: str, known: str | None) -> None:
    """Nobody learns whether a token exists; we know which one was guessed at."""
    _create(database)
    with pytest.raises(TokenRefusedError) as caught:
        _redeem(database, presented)
    assert str(caught.value) == "enrollment token is not one of ours"
    assert caught.value.token_id == known
    assert _used(database) == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"token_id": "NO"}, "token id 'NO'"),
        ({"secret": "short"}, "secret of token 't1'"),
        ({"salt": bytes(15)}, "has 15 bytes, expected 16"),
        ({"uses": 0}, "0 uses, expected 1"),
        ({"uses": 1_000_001}, "1000001 uses"),
        ({"labels": {str(n): "x" for n in range(65)}}, "65 labels"),
        ({"labels": {"a b": "x"}}, "label 'a b'='x'"),
        ({"labels": {"a": ""}}, "label 'a'=''"),
        ({"expires_at": NOW}, "would expire at"),
    ],
)
def test_a_token_out_of_its_limits_is_refused(database: Database, changes: dict[str, Any], why: str) -> None:
    """Each limit is named with the value."""
    with pytest.raises(RefusedError, match=why):
        _create(database, **changes)


def test_an_id_is_given_once(database: Database) -> None:
    """A second token of the same name is refused."""
    _create(database)
    with pytest.raises(RefusedError, match="'t1' exists already"):
        _create(database)
