"""keys/ledger.py."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from keys import ledger
from keys.certificate import Reason, Serial, Slot
from keys.ledger import Credential, Enrollment, Standing, State
from storage.database import Database
from storage.errors import PreconditionError
from tests.fakes.certificates import NOW, agent
from tests.fakes.databases import opened

FIRST, SECOND = Serial(1 << 100), Serial(1 << 101)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def _enrollment(standing: Standing = Standing.ENROLLED) -> Enrollment:
    return Enrollment(agent(), "t1", {"env": "prod"}, NOW, standing, NOW)


def _intent(serial: Serial = FIRST, slot: Slot = Slot.CURRENT) -> Credential:
    return Credential(
        serial=serial,
        agent=agent(),
        slot=slot,
        state=State.INTENT,
        spki_sha256=bytes(32),
        token_id="t1",
        unsigned_sha256=bytes(32),
        not_before=NOW,
        not_after=NOW + timedelta(days=1),
        chain_pem=b"",
        intended_at=NOW,
    )


def _intended(database: Database, *intents: Credential) -> None:
    with database.write() as connection:
        ledger.put_enrollment(connection, _enrollment())
        for intent in intents:
            ledger.put_intent(connection, intent)


def test_an_enrollment_reads_back_and_is_written_over(database: Database) -> None:
    """One row an agent; the last standing counts."""
    with database.write() as connection:
        ledger.put_enrollment(connection, _enrollment())
        assert ledger.enrollment_of(connection, agent()) == _enrollment()
        ledger.put_enrollment(connection, _enrollment(Standing.BANNED))
        assert ledger.all_enrollments(connection) == [_enrollment(Standing.BANNED)]
        assert ledger.enrollment_of(connection, agent(2)) is None


def test_an_intent_reads_back_and_admits_nobody(database: Database) -> None:
    """It is open, it is not live, and it has no chain yet."""
    _intended(database, _intent())
    with database.read() as connection:
        assert ledger.credential(connection, FIRST) == _intent()
        assert ledger.open_credentials(connection, agent()) == [_intent()]
        assert ledger.live_credentials(connection) == []
        assert ledger.credential(connection, SECOND) is None


def test_an_intent_becomes_live(database: Database) -> None:
    """With its chain, and the time it was issued."""
    _intended(database, _intent())
    with database.write() as connection:
        ledger.make_live(connection, FIRST, b"chain", NOW)
        [live] = ledger.live_credentials(connection)
    assert (live.state, live.chain_pem, live.issued_at) == (State.LIVE, b"chain", NOW)


def test_a_slot_holds_one(database: Database) -> None:
    """The database itself refuses a second open credential of one agent in one slot."""
    with pytest.raises(PreconditionError):
        _intended(database, _intent(FIRST), _intent(SECOND))


def test_a_serial_is_there_once(database: Database) -> None:
    """The same serial in another slot is refused."""
    with pytest.raises(PreconditionError):
        _intended(database, _intent(FIRST), _intent(FIRST, Slot.NEXT))


def test_a_credential_belongs_to_an_agent_that_enrolled(database: Database) -> None:
    """No row of a credential without one of its agent."""
    with pytest.raises(PreconditionError), database.write() as connection:
        ledger.put_intent(connection, _intent())


def test_the_next_becomes_current_when_the_current_has_ended(database: Database) -> None:
    """Superseded first, promoted then; both keep their rows."""
    _intended(database, _intent(FIRST), _intent(SECOND, Slot.NEXT))
    with database.write() as connection:
        ledger.make_live(connection, FIRST, b"1", NOW)
        ledger.make_live(connection, SECOND, b"2", NOW)
        ledger.end(connection, [FIRST], State.SUPERSEDED, NOW, Reason.SUPERSEDED)
        ledger.make_current(connection, SECOND)
        old, new = ledger.credentials_of(connection, agent())
    assert (old.state, old.ended_at, old.reason) == (State.SUPERSEDED, NOW, Reason.SUPERSEDED)
    assert (new.state, new.slot, new.ended_at) == (State.LIVE, Slot.CURRENT, None)


def test_what_has_ended_does_not_end_again(database: Database) -> None:
    """A revocation does not write over what a credential ended by before."""
    _intended(database, _intent())
    with database.write() as connection:
        ledger.end(connection, [FIRST], State.ABANDONED, NOW, Reason.SUPERSEDED)
        ledger.end(connection, [FIRST], State.REVOKED, NOW, Reason.KEY_COMPROMISE)
        ledger.make_live(connection, FIRST, b"late", NOW)
        found = ledger.credential(connection, FIRST)
    assert found is not None
    assert (found.state, found.chain_pem) == (State.ABANDONED, b"")


def test_credentials_are_found_by_their_key(database: Database) -> None:
    """A key's history, whoever's it is."""
    _intended(database, _intent())
    with database.read() as connection:
        assert ledger.credentials_with_key(connection, bytes(32)) == [_intent()]
        assert ledger.credentials_with_key(connection, bytes([1]) * 32) == []


def test_what_an_agent_asked_for_lately_is_counted(database: Database) -> None:
    """Serials whose intent was recorded after a moment, whatever became of them; of no other agent."""
    _intended(database, _intent(FIRST), _intent(SECOND, Slot.NEXT))
    with database.read() as connection:
        before, at = NOW - timedelta(seconds=1), NOW
        counts = [ledger.count_since(connection, agent(), moment) for moment in (before, at)]
        assert [*counts, ledger.count_since(connection, agent(2), before)] == [2, 0, 0]
