"""keys/bearer.py."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from keys import bearer
from keys.bearer import BearerToken
from keys.certificate import BearerId
from keys.errors import NotAdmittedError, RefusedError
from keys.ledger import Enrollment, Standing, put_enrollment
from storage.database import Database
from tests.fakes.certificates import NOW, agent
from tests.fakes.databases import journalled, opened

SECRET = "x" * 43
DAY = timedelta(days=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        with database.write() as connection:
            for number in (1, 2):
                put_enrollment(connection, Enrollment(agent(number), "", {}, NOW, Standing.ENROLLED, NOW))
        yield database


def _create(database: Database, token_id: str = "b1", **changes: Any) -> BearerToken:
    values: dict[str, Any] = {
        "secret": SECRET,
        "agent": agent(),
        "expires_at": NOW + DAY,
        "actor": "operator:ann",
        "now": NOW,
    }
    with database.write() as connection:
        return bearer.create(connection, token=BearerId(token_id), **{**values, **changes})


def test_a_token_is_kept_as_a_hash_and_journalled_without_its_secret(database: Database) -> None:
    """What is stored and what is written down does not open anything."""
    made = _create(database)
    with database.read() as connection:
        assert bearer.find(connection, made.id) == made
        assert bearer.tokens_of(connection, agent()) == bearer.live_of(connection, agent()) == [made]
        assert bearer.live_of(connection, agent(2)) == []
        assert bearer.all_live(connection) == [made]
    entry = journalled(database)[-1]
    assert (entry.kind, entry.actor, entry.subject) == ("bearer.created", "operator:ann", "bearer:b1")
    assert SECRET not in f"{made!r} {journalled(database)!r}"
    assert SECRET.encode() not in made.secret_sha256


@pytest.mark.parametrize("secret", ["", "x" * 42, "x" * 44, "x" * 42 + "=", "x" * 42 + "\n"])
def test_a_secret_of_another_shape_is_refused(database: Database, secret: str) -> None:
    """It is 32 random bytes; nobody may put in a word of his own choice."""
    with pytest.raises(RefusedError, match="43 base64url characters"):
        _create(database, secret=secret)


@pytest.mark.parametrize("life", [timedelta(0), -DAY, bearer.LIFE_MAX + DAY])
def test_a_life_out_of_bounds_is_refused(database: Database, life: timedelta) -> None:
    """Every token ends, and none has ended when it is made."""
    with pytest.raises(RefusedError, match="expected within 1096 days"):
        _create(database, expires_at=NOW + life)


def test_an_agent_has_the_current_one_and_the_next(database: Database) -> None:
    """A third is refused until one of them was revoked or is over."""
    _create(database, "b1")
    _create(database, "b2", expires_at=NOW + 2 * DAY)
    with pytest.raises(RefusedError, match=r"has 2 live bearer tokens \(b1, b2\), at most 2"):
        _create(database, "b3")
    _create(database, "b4", now=NOW + DAY, expires_at=NOW + 3 * DAY)
    with database.write() as connection:
        bearer.revoke(connection, BearerId("b2"), actor="operator:ann", now=NOW + DAY)
    _create(database, "b5", now=NOW + DAY, expires_at=NOW + 3 * DAY)


def test_revoking_is_journalled_once(database: Database) -> None:
    """Again is no error and writes nothing."""
    _create(database)
    for _ in range(2):
        with database.write() as connection:
            ended = bearer.revoke(connection, BearerId("b1"), actor="operator:ann", now=NOW)
        assert ended.revoked_at == NOW
    assert [entry.kind for entry in journalled(database)].count("bearer.revoked") == 1
    with database.read() as connection:
        assert bearer.live_of(connection, agent()) == []
    with pytest.raises(RefusedError, match="bearer token b9 does not exist"), database.write() as connection:
        bearer.revoke(connection, BearerId("b9"), actor="operator:ann", now=NOW)


def test_a_presented_text_is_split_or_is_none() -> None:
    """Whatever cannot be a token is told from one before anything is looked up."""
    assert bearer.split(f"b1.{SECRET}") == (BearerId("b1"), SECRET)
    for text in ("", ".", f".{SECRET}", f"B1.{SECRET}", "b1." + "x" * 200, "\u00e9.x"):
        assert bearer.split(text) is None


def test_a_secret_is_its_own_or_is_refused_in_the_same_words(database: Database) -> None:
    """Unknown and wrong are one answer."""
    made = _create(database)
    known = {made.id: made.secret_sha256}
    assert bearer.prove(f"b1.{SECRET}", known) == made.id
    for presented in (f"b2.{SECRET}", "b1." + "y" * 43, "b1.\ud800", "b1.", "", SECRET, "b1." + "x" * 200):
        with pytest.raises(NotAdmittedError, match=r"^bearer token is not one of ours$"):
            bearer.prove(presented, known)
