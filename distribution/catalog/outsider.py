"""Looks at a repository as an outsider does: `tuf.ngclient`, from a pinned root, over any source of bytes.

What this file returns has been verified, signature by signature, by the same client code an agent runs. The
server uses it on what it is about to publish and on what it is about to offer; a pipeline uses it on what it
is about to sign on top of. Nothing here trusts the source, or the transport under it.

`folder` is the client's memory: what it saw last, against which a source that goes back is refused. An empty
folder remembers nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError

# The library does not mark what it re-exports, so a strict checker takes its public names for private ones.
from tuf.ngclient import FetcherInterface, Updater  # type: ignore[attr-defined]

from distribution.errors import DistributionError, UnknownError, UnverifiedError
from keys.metadata import Root, Snapshot, TargetFile, Targets, Timestamp
from storage.errors import StorageError

Source = Callable[[str], Iterable[bytes]]
"""Returns the bytes at `metadata/<name>` or `targets/<path>`; raises UnknownError where there is nothing."""

_NOT_FOUND = 404


class _Fetcher(FetcherInterface):
    def __init__(self, source: Source) -> None:
        self._source = source

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            return iter(self._source(url))
        except UnknownError as exc:
            raise DownloadHTTPError(str(exc), _NOT_FOUND) from exc


class Outsider:
    """One look at one state of a repository. Use a new one for the next look.

    Raises (every method): UnverifiedError when anything does not verify or is not there; the source's own
    errors (StorageError, DistributionError) when it cannot answer.
    """

    def __init__(self, source: Source, root: bytes, folder: Path, now: datetime) -> None:
        """Start from a pinned root.

        Args:
            source: where the bytes come from.
            root: the pinned root metadata; nothing but it is believed unverified.
            folder: existing folder for the client's memory.
            now: aware UTC; expiry is judged at this time.
        """
        with _refusing("pinned root"):
            self._updater = Updater(
                str(folder), "metadata/", None, "targets/", fetcher=_Fetcher(source), bootstrap=root
            )
        self._folder = folder
        self._trusted = self._updater._trusted_set  # noqa: SLF001 - the one way to what the client verified
        self._trusted.reference_time = now
        with _refusing("repository"):
            self._updater.refresh()

    @property
    def root(self) -> Root:
        """The newest root that the pinned one leads to."""
        return self._trusted.root

    @property
    def targets(self) -> Targets:
        """The current top-level targets."""
        return self._trusted.targets

    @property
    def snapshot(self) -> Snapshot:
        """The current snapshot."""
        return self._trusted.snapshot

    @property
    def timestamp(self) -> Timestamp:
        """The current timestamp."""
        return self._trusted.timestamp

    def role(self, name: str) -> Targets:
        """Return a role that `targets` delegates to."""
        role = self.targets.get_delegated_role(name) if self._delegates(name) else None
        paths = getattr(role, "paths", None)
        if not paths:
            raise UnverifiedError(f"role {name!r} is not delegated to by targets v{self.targets.version}")
        with _refusing(f"role {name}"):
            self._updater.get_targetinfo(paths[0].replace("*", "0"))
        loaded = self._trusted.get(name)
        if not isinstance(loaded, Targets):
            raise UnverifiedError(f"role {name!r} is not reached by its own path {paths[0]!r}")
        return loaded

    def role_bytes(self, name: str) -> bytes:
        """Return the file of `targets` or of a role that it delegates to, as it was verified."""
        if name != Targets.type:
            self.role(name)
        return (self._folder / f"{name}.json").read_bytes()

    def find(self, path: str) -> TargetFile:
        """Return what the repository says of a target path."""
        with _refusing(f"target {path}"):
            found = self._updater.get_targetinfo(path)
        if found is None:
            raise UnverifiedError(f"target {path!r} is not in the repository")
        return found

    def read_target(self, path: str, max_bytes: int) -> bytes:
        """Return a small target's bytes, verified."""
        found = self.find(path)
        if found.length > max_bytes:
            raise UnverifiedError(f"target {path!r} has {found.length} bytes, at most {max_bytes} are read")
        local = self._folder / "target"
        with _refusing(f"target {path}"):
            self._updater.download_target(found, str(local))
        try:
            return local.read_bytes()
        finally:
            local.unlink()

    def _delegates(self, name: str) -> bool:
        delegations = self.targets.delegations
        return delegations is not None and delegations.roles is not None and name in delegations.roles


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except DownloadError as exc:
        if isinstance(exc.__cause__, DistributionError | StorageError) and not isinstance(
            exc.__cause__, UnknownError
        ):
            raise exc.__cause__ from exc
        raise UnverifiedError(f"{what} cannot be read as a whole: {exc}") from exc
    except (RepositoryError, ValueError) as exc:
        raise UnverifiedError(f"{what} does not verify: {exc}") from exc
