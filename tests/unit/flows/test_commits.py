"""Commits are announced before and told after; whatever a crash left open is settled by what happened."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from distribution.catalog.current import Current
from distribution.catalog.repository import Committed, Repository
from distribution.errors import ConflictError, InvalidError, UnverifiedError
from distribution.flows.commits import TOLD_MAX, Change, Commits, SignedRole, Told
from storage.database import Database
from storage.errors import UnavailableError
from storage.journal import Entry
from tests.fakes.databases import journalled, opened
from tests.fakes.publishing import NOW, World, role_bytes, signer

SUBJECT = "role:acme"
TOLD = Told("release.published", "package:acme/otelcol@1.0.0", {"files": {}})


class Killed(BaseException):
    """The process ended here."""


class Dying(Repository):
    """A repository whose process ends just before or just after the commit, when told to."""

    dies: str = ""

    def commit(self, roles: dict[str, bytes], now: datetime, *, based_on: Current) -> Committed:  # type: ignore[override] # narrower is enough here
        if self.dies == "before":
            raise Killed
        committed = super().commit(roles, now, based_on=based_on)
        if self.dies == "after":
            raise Killed
        if self.dies == "unanswered":
            raise UnavailableError("no answer")
        return committed


@pytest.fixture
def world() -> World:
    world = World()
    world.add_publisher()
    return world


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def commits(world: World, database: Database, dies: str = "") -> Commits:
    repository = Dying(world.store, world.root, signer("snapshot"), signer("timestamp"))
    repository.dies = dies
    return Commits(database, world.store, repository)


def next_role(version: int = 2) -> SignedRole:
    return SignedRole("acme", version, role_bytes("acme", version, []))


def run(door: Commits, role: SignedRole, *told: Told) -> Committed:
    return door.run(lambda _current: Change((role,), told), subject=SUBJECT, actor="operator:ci", now=NOW)


def kinds(database: Database) -> list[str]:
    return [entry.kind for entry in journalled(database)]


def ends(database: Database) -> list[Entry]:
    """Return the entries that end an announcement, each checked to name it."""
    entries = journalled(database)
    announced = {entry.number for entry in entries if entry.kind == "role.accepted"}
    found = [entry for entry in entries if entry.kind != "role.accepted"]
    assert {entry.detail["intent"] for entry in found} == announced
    return found


def test_a_commit_is_announced_and_told(world: World, database: Database) -> None:
    """The announcement has roles and digests; the telling names the announcement."""
    role = next_role()
    committed = run(commits(world, database), role, TOLD)
    assert world.repository.current().snapshot.version == committed.snapshot_version
    announced, told = journalled(database)
    assert announced.detail["roles"] == {"acme": [2, role.sha256]}
    assert (told.kind, told.subject, told.actor) == (TOLD.kind, TOLD.subject, "operator:ci")
    assert told.detail == {"files": {}, "intent": announced.number}


def test_what_is_current_already_is_not_committed_again(world: World, database: Database) -> None:
    """Nothing is announced for it."""
    role, door = next_role(), commits(world, database)
    first = run(door, role, TOLD)
    assert run(door, role) == first
    assert kinds(database) == ["role.accepted", "release.published"]


def test_a_role_that_was_only_signed_again_is_told_too(world: World, database: Database) -> None:
    """Renewing a role's expiry adds nothing, and is on record."""
    run(commits(world, database), next_role())
    assert kinds(database) == ["role.accepted", "role.renewed"]


@pytest.mark.parametrize(("dies", "ended"), [("before", "role.refused"), ("after", "release.published")])
def test_a_crash_at_the_commit_is_settled_by_what_happened(
    world: World, database: Database, dies: str, ended: str
) -> None:
    """The next process tells what the last one could not, exactly once."""
    role = next_role()
    with pytest.raises(Killed):
        run(commits(world, database, dies), role, TOLD)
    assert kinds(database) == ["role.accepted"]
    restarted = commits(world, database)
    restarted.settle(NOW)
    restarted.settle(NOW)
    commits(world, database).settle(NOW)
    assert [(entry.kind, entry.actor) for entry in ends(database)] == [(ended, "operator:ci")]


def test_an_unanswered_commit_is_settled_before_the_next(world: World, database: Database) -> None:
    """The same process, too, tells first what it did not know."""
    door = commits(world, database, "unanswered")
    with pytest.raises(UnavailableError):
        run(door, next_role(), TOLD)
    door._repository.dies = ""  # type: ignore[attr-defined] # the fake's own switch
    run(door, next_role(3), TOLD)
    assert [entry.kind for entry in ends(database)] == ["release.published", "release.published"]


def test_an_orphan_of_the_same_version_is_not_taken_for_the_commit(world: World, database: Database) -> None:
    """Another role of that version is current: what was announced did not happen."""
    with pytest.raises(Killed):
        run(commits(world, database, "before"), next_role(), TOLD)
    path = "acme/otelcol/1.0.0/linux-amd64/otelcol"
    world.release("acme", {path: b"another"})
    commits(world, database).settle(NOW)
    assert [entry.kind for entry in ends(database)] == ["role.refused"]


def test_a_version_without_a_file_is_not_taken_for_the_commit(world: World, database: Database) -> None:
    """Versions may be skipped; a skipped one was never committed."""
    with pytest.raises(Killed):
        run(commits(world, database, "before"), next_role(2), TOLD)
    run_elsewhere = role_bytes("acme", 4, [])
    world.repository.commit({"acme": run_elsewhere}, NOW, based_on=world.repository.current())
    commits(world, database).settle(NOW)
    assert [entry.kind for entry in ends(database)] == ["role.refused"]


@pytest.mark.parametrize("error", [InvalidError, UnverifiedError])
def test_a_refused_decision_is_told_and_nothing_is_announced(
    world: World, database: Database, error: type[Exception]
) -> None:
    """What its signer may not do is on record."""

    def refuse(_current: Current) -> Change:
        raise error("not yours")

    with pytest.raises(error, match="not yours"):
        commits(world, database).run(refuse, subject=SUBJECT, actor="operator:ci", now=NOW)
    [entry] = journalled(database)
    assert (entry.kind, entry.subject, entry.detail) == ("role.refused", SUBJECT, {"reason": "not yours"})


def test_a_lost_race_is_no_offence(world: World, database: Database) -> None:
    """A pipeline that has to sign again is not put on record."""

    def lose(_current: Current) -> Change:
        raise ConflictError("v2 is current")

    with pytest.raises(ConflictError):
        commits(world, database).run(lose, subject=SUBJECT, actor="operator:ci", now=NOW)
    assert journalled(database) == []


def test_what_an_outsider_refuses_ends_its_announcement(world: World, database: Database) -> None:
    """A role that does not verify is announced, refused by the repository, and told so."""
    forged = SignedRole("acme", 2, role_bytes("acme", 2, [], key="mallory"))
    with pytest.raises(UnverifiedError):
        run(commits(world, database), forged, TOLD)
    assert [entry.kind for entry in ends(database)] == ["role.refused"]


def test_one_commit_tells_only_so_much(world: World, database: Database) -> None:
    """What would not fit into one announcement is refused before anything is written but that."""
    with pytest.raises(InvalidError, match="at most 128"):
        run(commits(world, database), next_role(), *[TOLD] * (TOLD_MAX + 1))
    assert kinds(database) == ["role.refused"]
