"""A server for pipelines, in memory: the catalogue's own rules, with room for a test to make it lie."""

from collections.abc import Callable, Iterable, Mapping

from distribution.catalog import enlist
from distribution.catalog.current import store_source
from distribution.catalog.intake import take
from distribution.domain.package import Digest
from distribution.pipeline.ports import Submitted
from tests.fakes.publishing import MAX_BYTES, World


class LocalServer:
    """A `PipelineServer` over a `World`; each `before_*` hook may raise, or change the world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.submissions: list[bytes] = []
        self.uploads: list[str] = []
        self.before_submit: Callable[[bytes], None] = lambda body: None
        self.after_submit: Callable[[bytes], None] = lambda body: None
        self.lie_about_digest: Digest | None = None
        self.overlay: dict[str, bytes] = {}
        """What is shown instead of the store, by key."""

    def fetch(self, key: str) -> Iterable[bytes]:
        """Return the store's bytes, or the overlay's."""
        return store_source(self.world.store, self.overlay)(key)

    def upload(self, path: str, digest: Digest, length: int, chunks: Iterable[bytes]) -> Digest:
        """Take bytes."""
        self.uploads.append(path)
        found, _ = take(self.world.store, path, digest, chunks, MAX_BYTES)
        return self.lie_about_digest or found

    def submit_role(self, publisher: str, role: str, body: bytes) -> Submitted:
        """Accept and commit a role."""
        self.submissions.append(body)
        self.before_submit(body)
        committed = self.world.submit(role, body)
        self.after_submit(body)
        return Submitted(committed.snapshot_version, committed.timestamp_version)

    def submit_targets(
        self, targets: bytes, roles: Mapping[str, bytes], files: Mapping[str, bytes]
    ) -> Submitted:
        """Accept and commit new top-level targets."""
        current = self.world.repository.current()
        enlisted = enlist.accept(
            self.world.store, current, targets, roles=roles, files=files, now=self.world.now
        )
        committed = self.world.repository.commit(enlisted.roles, self.world.now, based_on=current)
        return Submitted(committed.snapshot_version, committed.timestamp_version)
