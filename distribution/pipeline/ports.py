"""What a pipeline needs of a server, and what it believes of it: nothing that it did not verify itself."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from distribution.domain.package import Digest

Show = Callable[[str], None]
"""Tells the person at the pipeline, or its log, one line of what is done."""

Sleep = Callable[[float], None]
"""Waits so many seconds."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What the server says it committed."""

    snapshot_version: int
    timestamp_version: int


class PipelineServer(Protocol):
    """The server, as a pipeline or an operator with offline keys sees it.

    Raises (every method): UnreachableError when it does not answer; otherwise what it refused with:
    ConflictError, InvalidError, UnknownError, UnverifiedError, ForbiddenError, UnauthenticatedError.
    """

    def fetch(self, key: str) -> Iterable[bytes]:
        """Return the bytes at `metadata/<name>` or `targets/<path>`; UnknownError where there is nothing."""
        ...

    def upload(self, path: str, digest: Digest, length: int, chunks: Iterable[bytes]) -> Digest:
        """Send a target's bytes; return the digest that the server computed of them."""
        ...

    def submit_role(self, publisher: str, role: str, body: bytes) -> Submitted:
        """Hand in a signed role; the same bytes again are no error."""
        ...

    def submit_targets(
        self, targets: bytes, roles: Mapping[str, bytes], files: Mapping[str, bytes]
    ) -> Submitted:
        """Hand in new top-level targets with the first roles and guard files of new publishers."""
        ...
