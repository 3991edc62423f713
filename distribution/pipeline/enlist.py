"""Adds a publisher: an operator with the offline keys signs the next `targets` and hands it in.

The current `targets` is verified from the operator's own pinned root; the request's proof is verified before
an offline key is opened. The server is told the result and can only take it or leave it. Handing in the
same request again, with the same keys, adds nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distribution.catalog.delegation import guard_role, publishers_of
from distribution.catalog.outsider import Outsider
from distribution.catalog.request import PublisherRequest
from distribution.domain.guard import guard_path
from distribution.errors import ConflictError
from distribution.pipeline.ports import Submitted
from distribution.pipeline.signing import Tools
from keys.ceremony import delegate
from keys.custody import open_tuf_signer
from keys.roles import TARGETS


@dataclass(frozen=True, slots=True)
class Added:
    """The publisher as it is delegated to now. `submitted` is None if it was so already."""

    publisher: str
    packages: tuple[str, ...]
    targets_version: int
    submitted: Submitted | None


def add_publisher(
    request: PublisherRequest, key_uris: Sequence[str], *, root: bytes, memory: Path, tools: Tools
) -> Added:
    """Delegate to a publisher, or give one that is there more packages.

    Args:
        request: parsed, which has verified its proof.
        key_uris: the offline `targets` keys to sign with, at least as many as the threshold.
        root: the operator's pinned root metadata.
        memory: folder where the TUF client remembers what it saw.
        tools: server, time, and where to tell what is delegated.

    Raises:
        UnverifiedError: what the server shows does not verify, or it did not keep what it took.
        RoleMisuseError: a key that is not one of `targets`, or too few; a publisher's key that is another's.
        CustodyError: an offline key cannot be opened.
        ConflictError: somebody else changed `targets` meanwhile; do it again.
    """
    memory.mkdir(exist_ok=True)
    view = Outsider(tools.server.fetch, root, memory, tools.now)
    before = publishers_of(view.targets).get(request.publisher)
    if before is not None and set(request.packages) == set(before.packages):
        _require_same_keys(request, before.release_keyid, before.guard_keyid)
        return Added(request.publisher, before.packages, view.targets.version, None)
    for delegation in request.delegations():
        tools.show(
            f"role {delegation.role} may sign {', '.join(delegation.paths)} by key {delegation.key.keyid}"
        )
    signers = [open_tuf_signer(uri) for uri in key_uris]
    targets = delegate(
        view.role_bytes(TARGETS), request.delegations(), signers, root=view.root, now=tools.now
    )
    first = before is None
    roles = {request.publisher: request.release_role, guard_role(request.publisher): request.guard_role}
    files = {guard_path(request.publisher): request.guard_file}
    submitted = tools.server.submit_targets(targets, roles if first else {}, files if first else {})
    after = Outsider(tools.server.fetch, root, memory, tools.now)
    added = publishers_of(after.targets).get(request.publisher)
    if added is None or not set(request.packages) <= set(added.packages):
        raise ConflictError(
            f"publisher {request.publisher!r} is not in targets v{after.targets.version} as asked"
        )
    return Added(request.publisher, added.packages, after.targets.version, submitted)


def _require_same_keys(request: PublisherRequest, release_keyid: str, guard_keyid: str) -> None:
    asked = (request.release_key.keyid, request.guard_key.keyid)
    if asked != (release_keyid, guard_keyid):
        raise ConflictError(
            f"publisher {request.publisher!r} has the keys {release_keyid} and {guard_keyid}, "
            f"the request asks for {asked[0]} and {asked[1]}"
        )
