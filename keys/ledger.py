"""The ledger: every serial we ever chose, what became of it, and where each agent stands.

Rules:

1. A serial is written here, as an intent, before the key is used for it; so no certificate exists that the
   ledger doesn't know.
2. An agent has at most one open credential (intent or live) in each of its two slots, current and next. The
   database itself refuses a second one.
3. Nothing is deleted. `live` is the only state that admits; every way out of it is a state of its own.

These functions read and write rows inside the caller's transaction. They decide nothing and journal nothing:
that is the authority's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Final

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    Row,
    Select,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    text,
    update,
)

from keys.certificate import Reason, Serial, Slot
from keys.identity import AgentId
from storage.database import UtcDateTime, metadata


class State(Enum):
    """What became of a serial."""

    INTENT = "intent"
    """Chosen and recorded; the key may have been used for it. Admits nobody."""
    LIVE = "live"
    """Issued, and its agent's current or next one, as its slot says."""
    SUPERSEDED = "superseded"
    """Another one of the same agent took its place."""
    ABANDONED = "abandoned"
    """An intent that was never finished; a certificate that bears it was given to nobody."""
    REVOKED = "revoked"


class Standing(Enum):
    """How an agent stands with us."""

    ENROLLED = "enrolled"
    REVOKED = "revoked"
    """Its credentials are gone; it may enroll only after an operator's reset."""
    RESET = "reset"
    """It may enroll again, with a token and a key that was never revoked."""
    BANNED = "banned"
    """It may not enroll, and a plain reset does not change that."""
    ADMITTED = "admitted"
    """A gateway speaks for it (`keys.passages`): it never held a credential of its own, or was reset."""


OPEN: Final = (State.INTENT.value, State.LIVE.value)

enrollments: Final = Table(
    "enrollments",
    metadata,
    Column("agent", String(36), primary_key=True),
    Column("token_id", String(64), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("standing", String(16), nullable=False),
    Column("standing_since", UtcDateTime, nullable=False),
)

credentials: Final = Table(
    "credentials",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("agent", String(36), ForeignKey("enrollments.agent"), nullable=False),
    Column("slot", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("spki_sha256", LargeBinary(32), nullable=False),
    # The token that an enrollment spent; a renewal spends none.
    Column("token_id", String(64), nullable=True),
    # SHA-256 of the unsigned certificate: a retry may finish an intent only by signing exactly this.
    Column("unsigned_sha256", LargeBinary(32), nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    # Leaf first, then the issuing CA; empty until it is issued.
    Column("chain_pem", LargeBinary, nullable=False),
    Column("intended_at", UtcDateTime, nullable=False),
    Column("issued_at", UtcDateTime, nullable=True),
    # When and why it stopped being open; the reason is a word of RFC 5280 5.3.1.
    Column("ended_at", UtcDateTime, nullable=True),
    Column("reason", Text, nullable=True),
    Index("ix_credentials_agent", "agent"),
    Index("ix_credentials_spki_sha256", "spki_sha256"),
    Index(
        "uq_credentials_open_slot",
        "agent",
        "slot",
        unique=True,
        sqlite_where=text("state IN ('intent', 'live')"),
        postgresql_where=text("state IN ('intent', 'live')"),
    ),
)


@dataclass(frozen=True, slots=True)
class Credential:
    """One row of the ledger. Times are aware UTC; `chain_pem` is empty while it is an intent."""

    serial: Serial
    agent: AgentId
    slot: Slot
    state: State
    spki_sha256: bytes
    token_id: str | None
    unsigned_sha256: bytes
    not_before: datetime
    not_after: datetime
    chain_pem: bytes
    intended_at: datetime
    issued_at: datetime | None = None
    ended_at: datetime | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Enrollment:
    """How an agent came in, with which labels of its token, and how it stands. Times are aware UTC."""

    agent: AgentId
    token_id: str
    labels: Mapping[str, str]
    at: datetime
    standing: Standing
    standing_since: datetime


def put_enrollment(connection: Connection, enrollment: Enrollment) -> None:
    """Write where an agent stands, over what was there."""
    values = {
        "agent": str(enrollment.agent),
        "token_id": enrollment.token_id,
        "labels": dict(enrollment.labels),
        "at": enrollment.at,
        "standing": enrollment.standing.value,
        "standing_since": enrollment.standing_since,
    }
    found = connection.execute(
        update(enrollments).where(enrollments.c.agent == values["agent"]).values(values)
    )
    if found.rowcount == 0:
        connection.execute(insert(enrollments).values(values))


def enrollment_of(connection: Connection, agent: AgentId) -> Enrollment | None:
    """Return where an agent stands, or None if it never enrolled."""
    row = connection.execute(select(enrollments).where(enrollments.c.agent == str(agent))).one_or_none()
    return None if row is None else _enrollment(row)


def all_enrollments(connection: Connection) -> list[Enrollment]:
    """Return every agent that ever enrolled, in the order of their ids."""
    return [_enrollment(row) for row in connection.execute(select(enrollments).order_by(enrollments.c.agent))]


def put_intent(connection: Connection, credential: Credential) -> None:
    """Record a serial before its key is used.

    Raises (at the end of the transaction, by the database): PreconditionError if the serial is taken or the
    agent's slot holds an open credential.
    """
    connection.execute(
        insert(credentials).values(
            serial=str(credential.serial),
            agent=str(credential.agent),
            slot=credential.slot.value,
            state=State.INTENT.value,
            spki_sha256=credential.spki_sha256,
            token_id=credential.token_id,
            unsigned_sha256=credential.unsigned_sha256,
            not_before=credential.not_before,
            not_after=credential.not_after,
            chain_pem=b"",
            intended_at=credential.intended_at,
        )
    )


def make_live(connection: Connection, serial: Serial, chain_pem: bytes, at: datetime) -> None:
    """Turn an intent into a live credential. The caller MUST have seen in this transaction that it is one."""
    connection.execute(
        update(credentials)
        .where(credentials.c.serial == str(serial), credentials.c.state == State.INTENT.value)
        .values(state=State.LIVE.value, chain_pem=chain_pem, issued_at=at)
    )


def make_current(connection: Connection, serial: Serial) -> None:
    """Move a live credential from next to current. The caller MUST have ended the current one before."""
    connection.execute(
        update(credentials)
        .where(credentials.c.serial == str(serial), credentials.c.state == State.LIVE.value)
        .values(slot=Slot.CURRENT.value)
    )


def end(
    connection: Connection, serials: Sequence[Serial], state: State, at: datetime, reason: Reason
) -> None:
    """Close open credentials: superseded, abandoned or revoked."""
    connection.execute(
        update(credentials)
        .where(credentials.c.serial.in_([str(serial) for serial in serials]), credentials.c.state.in_(OPEN))
        .values(state=state.value, ended_at=at, reason=reason.value)
    )


def credential(connection: Connection, serial: Serial) -> Credential | None:
    """Return what is known of one serial, or None if it is not ours."""
    row = connection.execute(select(credentials).where(credentials.c.serial == str(serial))).one_or_none()
    return None if row is None else _credential(row)


def credentials_of(connection: Connection, agent: AgentId) -> list[Credential]:
    """Return everything an agent was ever given, oldest first."""
    return _all(connection, select(credentials).where(credentials.c.agent == str(agent)))


def open_credentials(connection: Connection, agent: AgentId) -> list[Credential]:
    """Return an agent's intents and live credentials: at most one for each slot."""
    return _all(
        connection,
        select(credentials).where(credentials.c.agent == str(agent), credentials.c.state.in_(OPEN)),
    )


def count_since(connection: Connection, agent: AgentId, moment: datetime) -> int:
    """Return for how many serials of an agent intents were recorded after `moment` (aware UTC)."""
    asked = (credentials.c.agent == str(agent), credentials.c.intended_at > moment)
    return int(connection.execute(select(func.count(credentials.c.serial)).where(*asked)).scalar_one())


def credentials_with_key(connection: Connection, spki_sha256: bytes) -> list[Credential]:
    """Return every credential that was ever made for this public key, oldest first."""
    return _all(connection, select(credentials).where(credentials.c.spki_sha256 == spki_sha256))


def live_credentials(connection: Connection) -> list[Credential]:
    """Return every live credential, whether or not its time is over."""
    return _all(connection, select(credentials).where(credentials.c.state == State.LIVE.value))


def _all(connection: Connection, query: Select[tuple[object, ...]]) -> list[Credential]:
    ordered = query.order_by(credentials.c.intended_at, credentials.c.serial)
    return [_credential(row) for row in connection.execute(ordered)]


def _credential(row: Row[tuple[object, ...]]) -> Credential:
    return Credential(
        serial=Serial.parse(row.serial),
        agent=AgentId.parse(row.agent),
        slot=Slot(row.slot),
        state=State(row.state),
        spki_sha256=bytes(row.spki_sha256),
        token_id=row.token_id,
        unsigned_sha256=bytes(row.unsigned_sha256),
        not_before=row.not_before,
        not_after=row.not_after,
        chain_pem=bytes(row.chain_pem),
        intended_at=row.intended_at,
        issued_at=row.issued_at,
        ended_at=row.ended_at,
        reason=None if row.reason is None else Reason(row.reason),
    )


def _enrollment(row: Row[tuple[object, ...]]) -> Enrollment:
    return Enrollment(
        agent=AgentId.parse(row.agent),
        token_id=row.token_id,
        labels=MappingProxyType(dict(row.labels)),
        at=row.at,
        standing=Standing(row.standing),
        standing_since=row.standing_since,
    )
