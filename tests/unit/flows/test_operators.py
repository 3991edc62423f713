"""Operators' tokens in their story: journalled, bounded in life, and never without a way in."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from distribution.domain.scope import Scope
from distribution.errors import ConflictError, InvalidError, UnauthenticatedError, UnknownError
from distribution.fleet.operators import Operator
from distribution.flows import operators
from distribution.flows.entry import Entry
from storage.database import Database
from tests.fakes.databases import journalled, opened

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def create(database: Database, name: str, *scopes: str, life: timedelta = YEAR) -> operators.NewOperator:
    return operators.create(
        database,
        name=name,
        scopes=[Scope.parse(scope) for scope in scopes],
        expires_at=NOW + life,
        secret="s3cret",
        salt=bytes(16),
        actor="operator:root",
        now=NOW,
    )


def admit(database: Database, token: str) -> Operator:
    return Entry(database, lambda: NOW).admit(token, frozenset, where="a test")


def test_a_new_token_works_and_is_journalled_without_its_secret(database: Database) -> None:
    """The text is shown once; the journal knows name, scopes and end."""
    made = create(database, "ann", "fleet", "read")
    assert made.token == "ann.s3cret"
    assert "s3cret" not in repr(made)
    assert admit(database, made.token) == made.operator
    [entry] = journalled(database)
    assert (entry.kind, entry.subject) == ("operator.created", "operator:ann")
    assert entry.detail == {"scopes": ["fleet", "read"], "expires_at": "2027-10-01T12:00:00Z"}


def test_no_token_lives_for_ever(database: Database) -> None:
    """Two years are the most; nothing is written of a refused one."""
    with pytest.raises(InvalidError, match="at most 730 days"):
        create(database, "ann", "read", life=timedelta(days=731))
    assert journalled(database) == []


def test_a_revoked_token_ends_at_once_and_once(database: Database) -> None:
    """The second revocation changes and journals nothing."""
    made = create(database, "ci", "publish:acme")
    for _ in range(2):
        operators.revoke(database, "ci", actor="operator:root", now=NOW)
    with pytest.raises(UnauthenticatedError, match="revoked"):
        admit(database, made.token)
    kinds = [entry.kind for entry in journalled(database)]
    assert kinds == ["operator.created", "operator.revoked", "operator.refused"]


def test_the_last_way_in_is_kept(database: Database) -> None:
    """The only live security token cannot be revoked; beside another one it can."""
    create(database, "ann", "security")
    create(database, "old", "security", life=timedelta(seconds=1))
    later = NOW + timedelta(hours=1)
    with pytest.raises(ConflictError, match="'ann' is the last one"):
        operators.revoke(database, "ann", actor="operator:ann", now=later)
    create(database, "bob", "security")
    operators.revoke(database, "ann", actor="operator:bob", now=later)
    assert [token.name for token in operators.every(database) if token.is_live(later)] == ["bob"]


def test_revoking_a_misspelt_name_is_told(database: Database) -> None:
    """Nobody believes a token gone that was never named."""
    with pytest.raises(UnknownError):
        operators.revoke(database, "nobody", actor="operator:root", now=NOW)
