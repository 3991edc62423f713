"""Who is let in at the operators' listener, and what the journal says of the others."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from distribution.domain.scope import FLEET, SECURITY, Scope, publish
from distribution.errors import ForbiddenError, InvalidError, UnauthenticatedError
from distribution.fleet.operators import Operator
from distribution.flows import operators
from distribution.flows.entry import Entry
from storage.database import Database
from storage.journal import Entry as Noted
from tests.fakes.databases import journalled, opened

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class Desk:
    """An entry with a clock that the test sets."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW
        self.entry = Entry(database, lambda: self.now)

    def create(self, name: str, *scopes: str) -> str:
        """Make a token and return its text."""
        return operators.create(
            self.database,
            name=name,
            scopes=[Scope.parse(scope) for scope in scopes],
            expires_at=NOW + DAY,
            secret="s3cret",
            salt=bytes(16),
            actor="operator:root",
            now=NOW,
        ).token

    def admit(self, token: str, needed: frozenset[Scope] = frozenset()) -> Operator:
        """Come in with a token."""
        return self.entry.admit(token, lambda: needed, where="GET /agents from 192.0.2.7")

    def refused(self) -> list[Noted]:
        """Return the journalled refusals."""
        return [entry for entry in journalled(self.database) if entry.kind == "operator.refused"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened(tmp_path) as database:
        yield Desk(database)


def test_who_may_comes_in_without_a_word(desk: Desk) -> None:
    """A live token with a sufficient scope, or where none is needed, is let in; nothing is journalled."""
    token = desk.create("ann", "fleet", "read")
    assert desk.admit(token).name == desk.admit(token, FLEET | SECURITY).name == "ann"
    assert desk.refused() == []


def test_a_guess_is_journalled_without_the_strangers_words(desk: Desk) -> None:
    """Right name or wrong, the note is the same one; neither name nor secret of the stranger is in it."""
    desk.create("ann", "read")
    for guess in ("ann.wrong", "bob.s3cret", "ann", "\0.x"):
        with pytest.raises(UnauthenticatedError, match="token is unknown, expired or revoked"):
            desk.admit(guess)
    [noted] = desk.refused()
    assert (noted.actor, noted.subject) == ("peer", "unknown token")
    assert noted.detail == {"why": "token is unknown, expired or revoked (GET /agents from 192.0.2.7)"}


def test_a_revoked_and_an_expired_token_are_named(desk: Desk) -> None:
    """Who holds the secret of a token that is over is somebody to be named; his scopes are not looked at."""
    revoked, expired = desk.create("ann", "read"), desk.create("bob", "read")
    operators.revoke(desk.database, "ann", actor="operator:root", now=NOW)
    with pytest.raises(UnauthenticatedError, match="was revoked at 2026-10-01T12:00:00Z"):
        desk.admit(revoked, FLEET)
    desk.now += DAY
    with pytest.raises(UnauthenticatedError, match="expired at 2026-10-02T12:00:00Z"):
        desk.admit(expired, FLEET)
    assert [noted.subject for noted in desk.refused()] == ["operator:ann", "operator:bob"]
    assert "revoked at" in str(desk.refused()[0].detail["why"])
    assert "expired at" in str(desk.refused()[1].detail["why"])


def test_a_scope_that_does_not_reach_is_named_with_the_one_that_would(desk: Desk) -> None:
    """The note names the operator, what it holds and what was needed, once for each kind of scope."""
    token = desk.create("ci", "publish:acme")
    for needed in (FLEET, publish("other"), publish("another"), FLEET):
        with pytest.raises(ForbiddenError):
            desk.admit(token, needed)
    [fleet, other] = desk.refused()
    assert (fleet.actor, fleet.subject) == ("operator:ci", "operator:ci")
    assert fleet.detail == {
        "why": "operator 'ci' holds publish:acme, this needs fleet (GET /agents from 192.0.2.7)"
    }
    assert "needs publish:other" in str(other.detail["why"])


def test_a_flood_of_guesses_is_one_note_an_hour(desk: Desk) -> None:
    """Many guesses leave one note; the next one, an hour later, says how many there were."""
    for number in range(500):
        with pytest.raises(UnauthenticatedError):
            desk.admit(f"op{number}.x")
    assert len(desk.refused()) == 1
    desk.now += HOUR
    with pytest.raises(UnauthenticatedError):
        desk.admit("op.x")
    assert [noted.detail.get("left_out") for noted in desk.refused()] == [None, 499]


def test_a_bad_request_of_a_live_token_is_no_refusal(desk: Desk) -> None:
    """What cannot even be asked for is passed on and not journalled."""
    with pytest.raises(InvalidError):
        desk.entry.admit(desk.create("ann", "read"), lambda: publish("No Name"), where="here")
    assert desk.refused() == []
