"""The story of a publication: a pipeline brings bytes, then the role it signed over its own digests of them.

Step 1  the bytes are streamed in; the server's own hash of them must be the pipeline's (`receive`).
Step 2  the signed role must be what its publisher may sign, over bytes that are here (`submit_role`).
Step 3  it is committed as one step, announced and told in the journal (`flows/commits`).
Step 4  the new catalogue is loaded as an outsider would, and agents' plans are decided again.

Nothing here signs for a publisher, and nothing could: the server has no key for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from distribution.catalog import intake, submission
from distribution.catalog.current import Current
from distribution.catalog.delegation import publisher_of
from distribution.catalog.repository import Committed
from distribution.catalog.submission import Accepted
from distribution.domain.guard import Moved, guard_path
from distribution.domain.package import Artifact, Digest, Version
from distribution.domain.target import require_target_path
from distribution.errors import ForbiddenError, OversizedError, UnverifiedError
from distribution.flows.catalogues import Catalogues
from distribution.flows.commits import Change, Commits, SignedRole, Told
from distribution.flows.ports import Connections
from storage import journal
from storage.database import Database
from storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Published:
    """What a submitted role changed, and the state in which clients see it."""

    role: str
    committed: Committed
    releases: tuple[str, ...]
    """`<publisher>/<package>@<version>` of each; none if exactly this role was current already."""


def receive(
    store: ObjectStore,
    database: Database,
    path: str,
    declared: Digest,
    chunks: Iterable[bytes],
    *,
    publisher: str,
    max_bytes: int,
    actor: str,
    now: datetime,
) -> tuple[Digest, int]:
    """Take a file's bytes if they are what was declared; return our digest of them and their length.

    Raises:
        InvalidError: the path is none we know. ForbiddenError: it is another publisher's.
        UnverifiedError, OversizedError: other bytes than declared, or too many; nothing is kept of them.
    """
    _require_own(publisher, path)
    try:
        return intake.take(store, path, declared, chunks, max_bytes)
    except (UnverifiedError, OversizedError) as exc:
        with database.write() as connection:
            journal.append(
                connection,
                kind="upload.refused",
                actor=actor,
                subject=f"target:{path}",
                detail={"reason": str(exc), "declared": str(declared)},
                at=now,
            )
        raise


def submit_role(
    commits: Commits,
    store: ObjectStore,
    catalogues: Catalogues,
    connections: Connections,
    *,
    publisher: str,
    role: str,
    body: bytes,
    actor: str,
    now: datetime,
) -> Published:
    """Commit a role that a pipeline signed; exactly the current one again changes nothing.

    Raises:
        ForbiddenError: the role is another publisher's.
        ConflictError: somebody else was first; verify, sign again, submit again.
        InvalidError, UnknownError, UnverifiedError: see `catalog.submission`; nothing changed.
    """
    if publisher_of(role) != publisher:
        raise ForbiddenError(f"role {role!r} is not one of publisher {publisher!r}")
    releases: list[str] = []

    def decide(current: Current) -> Change:
        accepted = submission.accept(store, current, role, body, now)
        change = _change(accepted)
        releases.extend(subject.partition(":")[2] for subject in _releases(accepted.added))
        return change

    committed = commits.run(decide, subject=f"role:{role}", actor=actor, now=now)
    catalogues.reload(now)
    connections.wake()
    return Published(role, committed, tuple(releases))


def _require_own(publisher: str, path: str) -> None:
    owner = publisher if path == guard_path(publisher) else require_target_path(path).publisher
    if owner != publisher:
        raise ForbiddenError(f"target path {path!r} is of publisher {owner!r}, not {publisher!r}")


def _change(accepted: Accepted) -> Change:
    signed = SignedRole(accepted.role, accepted.version, accepted.body)
    told = [
        Told("release.published", subject, detail) for subject, detail in _releases(accepted.added).items()
    ]
    lowered = [moved for moved in accepted.moved if moved.lowered]
    raised = [moved for moved in accepted.moved if not moved.lowered]
    told += [_floors("guard.raised", accepted, raised)] if raised else []
    told += [_floors("guard.lowered", accepted, lowered)] if lowered else []
    return Change((signed,), tuple(told))


def _floors(kind: str, accepted: Accepted, moves: Sequence[Moved]) -> Told:
    """Return what the journal says of floors that moved one way: where they are, and where they were."""
    detail: dict[str, journal.JSON] = {
        "floors": {moved.package: _text(moved.after) for moved in moves},
        "before": {moved.package: _text(moved.before) for moved in moves},
        "version": accepted.version,
    }
    return Told(kind, f"publisher:{accepted.publisher}", detail)


def _text(floor: Version | None) -> str | None:
    return None if floor is None else str(floor)


def _releases(added: Sequence[Artifact]) -> Mapping[str, Mapping[str, journal.JSON]]:
    """Return what the journal says of each release: its type and the digest of its file by platform."""
    files: dict[str, dict[str, str]] = {}
    types: dict[str, str] = {}
    for artifact in added:
        path = artifact.path
        subject = f"package:{path.publisher}/{path.package}@{path.version}"
        files.setdefault(subject, {})[path.platform] = str(artifact.sha256)
        types[subject] = artifact.type.value
    return {subject: {"files": files[subject], "type": types[subject]} for subject in files}
