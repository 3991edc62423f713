"""Operators' tokens: shown once, kept as hashes, refused by name when their time is over."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from distribution.domain.scope import Scope
from distribution.errors import ConflictError, InvalidError, UnauthenticatedError, UnknownError
from distribution.fleet import operators
from storage.database import Database
from tests.fakes.databases import opened

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=30)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as found:
        yield found


def create(database: Database, name: str = "ann", **changed: object) -> operators.Operator:
    values: dict[str, object] = {
        "secret": "s3cret",
        "salt": b"salt" * 4,
        "scopes": [Scope.parse("read")],
        "expires_at": LATER,
        "actor": "operator:root",
        "now": NOW,
    }
    with database.write() as connection:
        return operators.create(connection, name=name, **(values | changed))  # type: ignore[arg-type] # varied


def authenticate(database: Database, presented: str, now: datetime = NOW) -> operators.Operator:
    with database.read() as connection:
        operator = operators.recognise(connection, presented)
    operators.require_live(operator, now)
    return operator


def test_the_token_that_was_made_is_let_in(database: Database) -> None:
    """Name and secret together name the operator and its scopes."""
    made = create(database, scopes=[Scope.parse("fleet"), Scope.parse("publish:acme")])
    assert authenticate(database, "ann.s3cret") == made


def test_no_secret_is_kept(database: Database, tmp_path: Path) -> None:
    """The database's files do not contain the secret."""
    create(database, secret="a-very-recognisable-secret")
    database.close()
    assert all(b"recognisable" not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    "presented",
    [
        "",
        "ann",
        "ann.",
        "ann.wrong",
        "bob.s3cret",
        ".s3cret",
        "ann.s3cret ",
        "a\0.x",
        "ä.x",
        "a" * 200 + ".x",
    ],
)
def test_guesses_are_refused_alike(database: Database, presented: str) -> None:
    """A wrong secret and an unknown name get the same words."""
    create(database)
    with pytest.raises(UnauthenticatedError, match="token is unknown, expired or revoked"):
        authenticate(database, presented)


def test_an_expired_token_is_refused_from_its_second_on(database: Database) -> None:
    """The moment of expiry itself is too late."""
    create(database)
    authenticate(database, "ann.s3cret", LATER - timedelta(seconds=1))
    with pytest.raises(UnauthenticatedError, match="expired at 2026-10-31T12:00:00Z"):
        authenticate(database, "ann.s3cret", LATER)


def test_a_revoked_token_is_refused(database: Database) -> None:
    """Revoking takes effect at once, once, and says when it happened."""
    create(database)
    with database.write() as connection:
        assert operators.revoke(connection, "ann", NOW)
        assert not operators.revoke(connection, "ann", LATER)
    with pytest.raises(UnauthenticatedError, match="revoked at 2026-10-01T12:00:00Z"):
        authenticate(database, "ann.s3cret")


def test_a_live_name_is_taken_and_a_dead_one_is_free(database: Database) -> None:
    """Only when a token ended may its name be given again; the old secret stays dead."""
    create(database)
    with pytest.raises(ConflictError, match="'ann' exists"):
        create(database, secret="other")
    with database.write() as connection:
        operators.revoke(connection, "ann", NOW)
    create(database, secret="other")
    with pytest.raises(UnauthenticatedError):
        authenticate(database, "ann.s3cret")
    assert authenticate(database, "ann.other").is_live(NOW)


@pytest.mark.parametrize("changed", [{"scopes": []}, {"expires_at": NOW}, {"name": "Ann Smith"}])
def test_a_token_that_makes_no_sense_is_not_made(database: Database, changed: dict[str, object]) -> None:
    """No scope, no life or no name: refused."""
    with pytest.raises(InvalidError):
        create(database, **{"name": "ann", **changed})  # type: ignore[arg-type] # varied


def test_tokens_are_listed_by_name(database: Database) -> None:
    """The list shows every token, the ended ones too."""
    create(database, "zoe")
    create(database, "ann")
    with database.read() as connection:
        assert [operator.name for operator in operators.every(connection)] == ["ann", "zoe"]


def test_revoking_nobody_is_an_error(database: Database) -> None:
    """A misspelt name is told."""
    with database.write() as connection, pytest.raises(UnknownError, match="'bob' does not exist"):
        operators.revoke(connection, "bob", NOW)
