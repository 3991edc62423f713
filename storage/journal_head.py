"""The journal's head, kept as an object too: what the database cannot quietly take back.

Whoever owns the database alone can rewrite the journal and every hash in it; whoever owns the object store
alone can rewrite the kept head. Neither alone can cut the journal short or change what came before the kept
head without `storage.journal.verify` saying so. The store's owner can delete the kept head, which then looks
like none was ever kept; a store that keeps deleted versions, or a copy elsewhere, is against that.

Rules: the kept head only moves forward, and only along one journal. `advance` looks, before it moves the
head, whether the journal still holds what was kept; so a rewritten journal never overwrites the evidence.
"""

import json
import re
from typing import Final

from storage.database import Database
from storage.errors import (
    AlreadyExistsError,
    JournalBrokenError,
    NotFoundError,
    PreconditionError,
    TooLargeError,
)
from storage.journal import Head, head, require_contains
from storage.objects import ObjectStore

KEY: Final = "journal/head.json"

_MAX_BYTES: Final = 4_096
_NUMBERS_END: Final = 1 << 63
_HASH = re.compile(r"[0-9a-f]{64}")


def kept(store: ObjectStore) -> Head | None:
    """Return the last head kept in `store`, or None if none was kept yet.

    Raises:
        JournalBrokenError: the object is not a head. UnavailableError: the store does not answer.
    """
    found = _read(store)
    return None if found is None else found[0]


def keep(store: ObjectStore, latest: Head) -> None:
    """Keep `latest`, unless a later head is kept already; an empty journal keeps nothing.

    It trusts the caller that `latest` is of the journal the kept head is of; `advance` makes sure.

    Raises:
        JournalBrokenError: the kept head has the same number and another hash, or is no head.
        UnavailableError: the store does not answer.
    """
    if latest.number == 0:
        return
    while not _kept_or_later(store, latest):
        pass  # another writer was faster; read again what it kept


def advance(database: Database, store: ObjectStore) -> Head:
    """Keep the journal's head as it is now, once the journal is seen to hold the one kept before.

    Costs two rows and one object, however long the journal. Call it after what must not be taken back.

    Returns:
        The head as the database has it; what is kept is this one, or a later one another writer kept.

    Raises:
        JournalBrokenError: the head kept before is not in the journal; nothing was moved.
        UnavailableError: the store or the database does not answer.
    """
    # A head is kept only after its entry was committed, so a snapshot begun later holds it.
    before = kept(store)
    with database.read() as connection:
        if before is not None:
            require_contains(connection, before)
        latest = head(connection)
    keep(store, latest)
    return latest


def _kept_or_later(store: ObjectStore, latest: Head) -> bool:
    """Try once; False if another writer came between reading and writing."""
    body = json.dumps({"number": latest.number, "hash": latest.hash}).encode()
    found = _read(store)
    try:
        if found is None:
            store.create(KEY, body)
            return True
        before, etag = found
        if before.number == latest.number and before.hash != latest.hash:
            raise JournalBrokenError(
                f"journal entry {latest.number} is {latest.hash}, kept outside as {before.hash}"
            )
        if before.number < latest.number:
            store.replace(KEY, body, etag)
    except (AlreadyExistsError, PreconditionError, NotFoundError):
        return False
    return True


def _read(store: ObjectStore) -> tuple[Head, str] | None:
    try:
        body, info = store.read(KEY, _MAX_BYTES)
    except NotFoundError:
        return None
    except TooLargeError as exc:
        raise JournalBrokenError(f"object {KEY!r} is no kept head: {exc}") from exc
    try:
        found = json.loads(body)
    except ValueError as exc:
        raise JournalBrokenError(f"object {KEY!r} is no kept head: {exc}") from exc
    match found:
        case {"number": bool()}:  # to Python a kind of number
            pass
        case {"number": int(number), "hash": str(text)} if 0 < number < _NUMBERS_END and _HASH.fullmatch(
            text
        ):
            return Head(number, text), info.etag
    raise JournalBrokenError(f"object {KEY!r} is no kept head: {body[:200]!r}")
