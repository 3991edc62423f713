"""The story of a new publisher: the offline keys delegated to it, the server checks and commits that.

The server cannot add a publisher and cannot take one away: it has no key of `targets`. What it is handed must
lose nobody and re-key nobody, and brings each new publisher's first roles with it, in one commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from distribution.catalog import enlist
from distribution.catalog.current import Current
from distribution.catalog.delegation import Publisher
from distribution.catalog.repository import Committed
from distribution.flows.catalogues import Catalogues
from distribution.flows.commits import Change, Commits, SignedRole, Told
from distribution.flows.ports import Connections
from storage.objects import ObjectStore

_TARGETS = "targets"


@dataclass(frozen=True, slots=True)
class Added:
    """The publishers that are new or may sign more, and the state in which clients see it."""

    publishers: tuple[Publisher, ...]
    committed: Committed


def add(
    commits: Commits,
    store: ObjectStore,
    catalogues: Catalogues,
    connections: Connections,
    *,
    targets: bytes,
    roles: Mapping[str, bytes],
    files: Mapping[str, bytes],
    actor: str,
    now: datetime,
) -> Added:
    """Commit the next `targets` with the first roles of who is new in it; again changes nothing.

    Args:
        commits: the door to the repository.
        store: the repository's.
        catalogues: loaded again afterwards.
        connections: woken afterwards.
        targets: the next top-level targets, signed by the offline keys.
        roles: the first version of each new role.
        files: each new publisher's guard file by target path.
        actor: who brings it.
        now: aware UTC.

    Raises:
        ConflictError: `targets` was signed on another version than the current.
        InvalidError, UnverifiedError: see `catalog.enlist`; nothing changed.
    """
    publishers: list[Publisher] = []

    def decide(current: Current) -> Change:
        enlisted = enlist.accept(store, current, targets, roles=roles, files=files, now=now)
        publishers.extend(enlisted.publishers)
        versions = dict.fromkeys(enlisted.roles, 1) | {_TARGETS: current.targets.version + 1}
        signed = tuple(
            SignedRole(role, versions[role], body) for role, body in sorted(enlisted.roles.items())
        )
        return Change(signed, tuple(_told(publisher) for publisher in enlisted.publishers))

    committed = commits.run(decide, subject=f"role:{_TARGETS}", actor=actor, now=now)
    catalogues.reload(now)
    connections.wake()
    return Added(tuple(publishers), committed)


def _told(publisher: Publisher) -> Told:
    return Told(
        "publisher.added",
        f"publisher:{publisher.name}",
        {
            "packages": list(publisher.packages),
            "release_key": publisher.release_keyid,
            "guard_key": publisher.guard_keyid,
        },
    )
