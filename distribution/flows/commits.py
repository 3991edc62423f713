"""Commits to the repository, one at a time: announced in the journal before, told in it after.

The journal is in the database, the repository in the object store, and no transaction spans both. So:

Step 1  what an earlier process announced and never told is settled first, by what the repository holds;
Step 2  the change is decided on the current state;
Step 3  the journal announces it (`role.accepted`), with everything that will be told;
Step 4  the repository commits it, by one compare-and-set;
Step 5  the journal tells it, each entry naming its announcement; or tells that it was refused.

A crash between any two steps leaves an announcement without an end, which step 1 finds. A store that does not
answer in step 4 leaves the same, because nobody knows yet what happened.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from distribution.catalog.current import Current, metadata_key
from distribution.catalog.repository import Committed, Repository
from distribution.errors import DistributionError, InvalidError, PolicyError, UnverifiedError
from storage import journal
from storage.database import Database
from storage.errors import NotFoundError
from storage.objects import ObjectStore

TOLD_MAX = 128
"""Releases that one commit may add: what is announced must fit into one journal entry."""

_ROLE_MAX_BYTES = 5_000_000
_ACCEPTED = "role.accepted"
_REFUSED = "role.refused"


@dataclass(frozen=True, slots=True)
class Told:
    """One journal entry that a commit will make true."""

    kind: str
    subject: str
    detail: Mapping[str, journal.JSON]


@dataclass(frozen=True, slots=True)
class SignedRole:
    """One signed role file of a change, and the version inside it."""

    name: str
    version: int
    body: bytes

    @property
    def sha256(self) -> str:
        """The file's digest, in hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """What was decided: these roles, and what the journal says of them once they are current."""

    roles: tuple[SignedRole, ...]
    told: tuple[Told, ...]


Decide = Callable[[Current], Change]
"""Decides a change on the current state; raises what refuses it."""


class Commits:
    """The one door to the repository. Thread-safe; one process at a time may hold it."""

    def __init__(self, database: Database, store: ObjectStore, repository: Repository) -> None:
        self._database = database
        self._store = store
        self._repository = repository
        self._lock = threading.Lock()
        self._settled = False

    def settle(self, now: datetime) -> None:
        """Finish what an earlier process announced and did not tell. Call it once at the start."""
        with self._lock:
            self._settle(now)

    def run(self, decide: Decide, *, subject: str, actor: str, now: datetime) -> Committed:
        """Decide a change on the current state, and commit it.

        Args:
            decide: called once; what it raises is raised here.
            subject: what the journal calls the thing that is changed, `role:<name>`.
            actor: who asked.
            now: aware UTC.

        Raises:
            DistributionError: the change was refused; nothing changed.
            StorageError: the store did not answer; what happened is settled before the next commit.
        """
        with self._lock:
            self._settle(now)
            current = self._repository.current()
            try:
                change = _checked(decide(current), subject)
            except (InvalidError, UnverifiedError, PolicyError) as exc:
                self._tell([Told(_REFUSED, subject, {"reason": str(exc)})], actor, now)
                raise
            if all(current.holds(role.name, role.body) for role in change.roles):
                return Committed(current.snapshot.version, current.timestamp.version)
            announced = self._announce(change, subject, actor, now)
            self._settled = False
            try:
                roles = {role.name: role.body for role in change.roles}
                committed = self._repository.commit(roles, now, based_on=current)
            except DistributionError as exc:
                self._tell([Told(_REFUSED, subject, {"intent": announced, "reason": str(exc)})], actor, now)
                self._settled = True
                raise
            self._tell(_finished(change.told, announced), actor, now)
            self._settled = True
            return committed

    def _announce(self, change: Change, subject: str, actor: str, now: datetime) -> int:
        detail: dict[str, journal.JSON] = {
            "roles": {role.name: [role.version, role.sha256] for role in change.roles},
            "told": [[told.kind, told.subject, told.detail] for told in change.told],
        }
        with self._database.write() as connection:
            entry = journal.append(
                connection, kind=_ACCEPTED, actor=actor, subject=subject, detail=detail, at=now
            )
        return entry.number

    def _tell(self, told: Sequence[Told], actor: str, now: datetime) -> None:
        with self._database.write() as connection:
            for one in told:
                journal.append(
                    connection, kind=one.kind, actor=actor, subject=one.subject, detail=one.detail, at=now
                )

    def _settle(self, now: datetime) -> None:
        if self._settled:
            return
        announced = self._last_announced()
        if announced is not None and not self._is_told(announced):
            detail: Mapping[str, Any] = announced.detail
            if self._happened(detail["roles"]):
                told = _finished([Told(*one) for one in detail["told"]], announced.number)
            else:
                reason = "the server stopped before the commit"
                told = [Told(_REFUSED, announced.subject, {"intent": announced.number, "reason": reason})]
            self._tell(told, announced.actor, now)
        self._settled = True

    def _last_announced(self) -> journal.Entry | None:
        number = journal.journal.c.number
        query = select(number).where(journal.journal.c.kind == _ACCEPTED).order_by(number.desc()).limit(1)
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
            return None if found is None else journal.entries(connection, found - 1, 1)[0]

    def _is_told(self, announced: journal.Entry) -> bool:
        """Tell whether a later entry names the announcement; only the last one can lack its end."""
        after = announced.number
        with self._database.read() as connection:
            while page := journal.entries(connection, after):
                if any(entry.detail.get("intent") == announced.number for entry in page):
                    return True
                after = page[-1].number
        return False

    def _happened(self, roles: Mapping[str, Sequence[Any]]) -> bool:
        """Tell whether the repository reached these role files; a commit has all of them or none."""
        current = self._repository.current()
        name, (version, sha256) = next(iter(roles.items()))
        version, sha256 = int(version), str(sha256)
        if current.version_of(name) < version:
            return False
        try:
            body, _ = self._store.read(metadata_key(name, version), _ROLE_MAX_BYTES)
        except NotFoundError:
            return False
        return hashlib.sha256(body).hexdigest() == sha256


def _checked(change: Change, subject: str) -> Change:
    if len(change.told) > TOLD_MAX:
        raise InvalidError(f"one commit would tell {len(change.told)} things, at most {TOLD_MAX} are taken")
    # A role that was only signed again, for a later expiry, is told too.
    return change if change.told else Change(change.roles, (Told("role.renewed", subject, {}),))


def _finished(told: Sequence[Told], announced: int) -> list[Told]:
    return [Told(one.kind, one.subject, {**one.detail, "intent": announced}) for one in told]
