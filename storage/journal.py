"""The journal of what matters to trust: append-only, numbered without gaps, each entry chained to the last.

Rules:

1. An entry is written in the durable transaction of the thing it tells of: both are there, or neither.
2. Numbers are 1, 2, 3, ... An entry's hash covers its number, its content and the hash before it, so whoever
   edits, drops, inserts or reorders must recompute everything after; against that, heads are kept outside the
   database (`storage.journal_head`). What came after the last kept head is only as safe as the database.
3. What is hashed is what is stored, byte for byte: verification parses nothing.
4. The database refuses to change or delete an entry (triggers, made by the migrations). That is against our
   own mistakes; against others there is the chain.

The hash of an entry is the SHA-256 of these parts, one after the other; each is preceded by its length in
bytes as 4 bytes, most significant first, so no two entries share an encoding:

    "quartermaster journal 1", previous hash (32 bytes), number (8 bytes, most significant first),
    at, kind, actor, subject, detail (UTF-8)

`at` is RFC 3339 in whole seconds of UTC (`2026-01-31T12:00:00Z`); `detail` is JSON with sorted keys, no
spaces and only ASCII. The first entry's previous hash is 32 zero bytes. Hashes are stored and shown in
lower-case hexadecimal.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    cast,
    func,
    insert,
    select,
)

from storage.database import in_utc, metadata, require_durable
from storage.errors import JournalBrokenError

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"

NO_HASH: Final = "0" * 64
"""The hash before the first entry."""

DETAIL_MAX_BYTES: Final = 65_536
TEXT_MAX_CHARS: Final = 1_000

_KIND = re.compile(r"[a-z]+\.[a-z]+")
_PREFIX: Final = b"quartermaster journal 1"
_BATCH: Final = 1_000
_STAMP: Final = "%Y-%m-%dT%H:%M:%SZ"

_Row: TypeAlias = tuple[int, bytes, bytes, bytes, bytes, bytes, bytes, bytes]
"""The journal's columns in their order, texts as the bytes that are stored."""

journal: Final = Table(
    "journal",
    metadata,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("at", String(20), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("actor", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `at` is aware UTC in whole seconds; hashes are 64 hexadecimal digits."""

    number: int
    at: datetime
    kind: str
    actor: str
    subject: str
    detail: Mapping[str, JSON]
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where the journal ends: the last entry's number and hash; 0 and `NO_HASH` when it is empty."""

    number: int
    hash: str


def append(
    connection: Connection, *, kind: str, actor: str, subject: str, detail: Mapping[str, JSON], at: datetime
) -> Entry:
    """Add one entry; it is there when the caller's `Database.write` transaction commits.

    Characters that do not print are kept as their Python escapes, and an actor or subject longer than
    1,000 characters is cut, saying so: what a peer chose to be called must not keep it out of the journal.

    Args:
        connection: of a durable transaction.
        kind: two lower-case words and a dot, `agent.revoked`.
        actor: who did it, `operator:ann`.
        subject: whom it concerns, `agent:<uid>`.
        detail: more, as JSON; at most 65,536 bytes when encoded. Never a secret.
        at: aware; cut to whole seconds.

    Raises:
        RuntimeError: the transaction is not durable.
        ValueError: the kind is malformed, the time has no zone, the detail is no JSON or too long.
    """
    require_durable(connection)
    if _KIND.fullmatch(kind) is None:
        raise ValueError(f"journal kind {kind!r} is not two lower-case words joined by a dot")
    before = head(connection)
    number = before.number + 1
    texts = (_stamp(at), kind, _printable(actor), _printable(subject), _encoded(detail))
    written = _hash_of(number, [text.encode() for text in texts], before.hash)
    connection.execute(insert(journal).values((number, *texts, before.hash, written)))
    return Entry(number, in_utc(at), kind, texts[2], texts[3], json.loads(texts[4]), before.hash, written)


def entries(connection: Connection, after: int = 0, limit: int = 1000) -> list[Entry]:
    """Return at most `limit` entries numbered above `after`, in order; their hashes are not checked.

    Raises:
        JournalBrokenError: an entry cannot be read at all.
    """
    return [_entry(row) for row in _batch(connection, after, limit)]


def head(connection: Connection) -> Head:
    """Return where the journal ends."""
    query = select(journal.c.number, journal.c.hash).order_by(journal.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return Head(0, NO_HASH) if row is None else Head(row.number, row.hash)


def verify(connection: Connection, kept: Head | None) -> Head:
    """Read the whole journal, a batch at a time, and check every entry against the one before it.

    Args:
        connection: of one snapshot: `Database.read`.
        kept: the last head kept outside the database; None if none was kept yet.

    Returns:
        Where the journal ends, now known to be whole.

    Raises:
        JournalBrokenError: an entry was edited, is missing, stands elsewhere, or the journal ends before the
            kept head or beside it. The first break is named with both numbers or hashes.
    """
    last = Head(0, NO_HASH)
    for row in _rows(connection):
        last = _require_follows(connection, row, last)
        if kept is not None and kept.number == last.number:
            _require_same(last, kept)
    if kept is not None and kept.number > last.number:
        raise JournalBrokenError(
            f"journal ends at entry {last.number}, before entry {kept.number} that was kept outside"
        )
    return last


def require_contains(connection: Connection, kept: Head) -> None:
    """Check, without reading the whole journal, that the entry of a kept head is still what it was.

    Raises:
        JournalBrokenError: it is missing, or has another hash.
    """
    if kept.number == 0:
        return
    found = connection.execute(select(journal.c.hash).where(journal.c.number == kept.number)).scalar()
    if found is None:
        raise JournalBrokenError(
            f"journal ends at entry {head(connection).number}, "
            f"and entry {kept.number} that was kept outside is not in it"
        )
    _require_same(Head(kept.number, found), kept)


def _require_follows(connection: Connection, row: _Row, last: Head) -> Head:
    number, *texts, previous_bytes, written_bytes = row
    previous, written = (value.decode("ascii", "replace") for value in (previous_bytes, written_bytes))
    if number != last.number + 1:
        raise JournalBrokenError(
            f"journal has a gap: entry {last.number} is followed by entry {number}, "
            f"expected {last.number + 1}"
        )
    if previous != last.hash:
        raise JournalBrokenError(
            f"journal entry {number} does not follow entry {last.number}: it names {previous} before it"
            f"{_where(connection, previous)}, entry {last.number} is {last.hash}"
        )
    computed = _hash_of(number, texts, last.hash)
    if written != computed:
        raise JournalBrokenError(
            f"journal entry {number} was edited: its content gives {computed}, its hash says {written}"
        )
    return Head(number, computed)


def _require_same(found: Head, kept: Head) -> None:
    if found.hash != kept.hash:
        raise JournalBrokenError(
            f"journal entry {found.number} is {found.hash}, kept outside as {kept.hash}: "
            "the journal was rewritten, or is another one"
        )


def _where(connection: Connection, wanted: str) -> str:
    """Say which entry has the hash, if one has: that is where a moved entry came from."""
    query = select(journal.c.number).where(journal.c.hash == wanted).limit(1)
    number = connection.execute(query).scalar()
    return "" if number is None else f" (entry {number})"


def _rows(connection: Connection) -> Iterator[_Row]:
    after = 0
    while batch := _batch(connection, after, _BATCH):
        yield from batch
        after = batch[-1][0]


def _batch(connection: Connection, after: int, limit: int) -> list[_Row]:
    columns = [_as_stored(connection, column) for column in journal.c if column is not journal.c.number]
    query = select(journal.c.number, *columns).where(journal.c.number > after)
    rows = connection.execute(query.order_by(journal.c.number).limit(limit))
    return [(row[0], *(value or b"" for value in row[1:])) for row in rows]


def _as_stored(connection: Connection, column: Column[str]) -> ColumnElement[bytes]:
    """Read a text as its bytes: SQLite would stop at a text that somebody made no UTF-8."""
    if connection.dialect.name == "sqlite":
        return cast(column, LargeBinary)
    return func.convert_to(column, "UTF8", type_=LargeBinary)


def _entry(row: _Row) -> Entry:
    number, *values = row
    try:
        at, kind, actor, subject, detail, previous, written = (value.decode() for value in values)
        moment = datetime.strptime(at, _STAMP).replace(tzinfo=UTC)
        return Entry(number, moment, kind, actor, subject, json.loads(detail), previous, written)
    except ValueError as exc:
        raise JournalBrokenError(f"journal entry {number} was edited: {exc}") from exc


def _hash_of(number: int, texts: Sequence[bytes], previous: str) -> str:
    digest = hashlib.sha256()
    for part in (_PREFIX, bytes.fromhex(previous), number.to_bytes(8, "big"), *texts):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.hexdigest()


def _stamp(at: datetime) -> str:
    return in_utc(at).strftime(_STAMP)


def _printable(text: str) -> str:
    escaped = "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
    if len(escaped) <= TEXT_MAX_CHARS:
        return escaped
    return f"{escaped[:TEXT_MAX_CHARS]}... ({len(escaped)} characters)"


def _encoded(detail: Mapping[str, JSON]) -> str:
    try:
        text = json.dumps(detail, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"journal detail is no JSON: {exc}") from exc
    if len(text) > DETAIL_MAX_BYTES:
        raise ValueError(f"journal detail has {len(text)} bytes, more than {DETAIL_MAX_BYTES}")
    return text
