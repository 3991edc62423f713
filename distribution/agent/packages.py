"""From an offer to a verified file: everything is checked from the pinned root, on this host.

Step 1  the host's own rules: name, type, version, direction; the target path comes from the host
Step 2  TUF metadata from the pinned root, never older than what was seen before (TUF 5.3 to 5.6)
Step 3  the publisher's guard: no guard, no installation; no version below its floor
Step 4  the target: its signed digest is the offered one, its signed description fits this host
Step 5  the bytes, streamed to a staging file, compared with the signed length and digest

The download address in an offer is never used: bytes come from the pinned downloads listener, under the
name that their digest gives them. Expired metadata refuses an installation, and never more than that.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from distribution.agent.ports import Prepared
from distribution.agent.report import Progress
from distribution.agent.rules import (
    Accepted,
    PackageRule,
    Wanted,
    accept,
    require_allowed,
    require_artifact,
)
from distribution.agent.store import make_folder
from distribution.agent.tuf_client import (
    DownloadError,
    ExpiredMetadataError,
    FetcherInterface,
    RepositoryError,
    TargetFile,
    Updater,
)
from distribution.domain.guard import GUARD_MAX_BYTES
from distribution.domain.package import Artifact, Digest, Version
from distribution.errors import DistributionError, HostError, UnreachableError, UnverifiedError

_REPORT_SECONDS = 1.0
_METADATA_MAX_BYTES = 5_000_000
"""Largest file that is read into memory; TUF lets the online roles say of any other how long it is."""


class VerifiedPackages:
    """Prepares packages. One preparation at a time: the metadata folder has one user."""

    def __init__(
        self,
        downloads_url: str,
        root: bytes,
        fetcher: FetcherInterface,
        *,
        metadata: Path,
        staging_file: Callable[[Artifact], Path],
    ) -> None:
        """Pin the root.

        Args:
            downloads_url: base address of the downloads listener, from the enrollment token.
            root: bytes of the pinned root metadata, whose digest was checked against the token.
            fetcher: how to fetch.
            metadata: folder of the metadata seen so far.
            staging_file: where a download goes.
        """
        self._base = downloads_url.rstrip("/")
        self._root = root
        self._fetcher = _Noting(fetcher)
        self._metadata = metadata
        self._staging_file = staging_file

    def prepare(
        self,
        rule: PackageRule | None,
        wanted: Wanted,
        installed: Version | None,
        progress: Callable[[Progress], None],
    ) -> Prepared:
        """Verify and download one offered package.

        Raises:
            InvalidError, PolicyError: this host does not accept it.
            UnverifiedError: it does not verify from the pinned root.
            UnreachableError: metadata or bytes cannot be fetched now.
            HostError: the disk refused.
        """
        accepted = accept(rule, wanted, installed)
        try:
            updater = self._refreshed()
            self._require_guard(updater, accepted)
            artifact = self._artifact(updater, accepted)
        except DistributionError:
            raise
        except Exception as exc:
            raise _ours(exc, "package metadata", self._last_read()) from exc
        return Prepared(artifact, self._download(artifact, progress))

    def _last_read(self) -> str:
        return self._fetcher.last.removeprefix(f"{self._base}/")

    def _refreshed(self) -> Updater:
        make_folder(self._metadata)
        updater = Updater(
            str(self._metadata),
            f"{self._base}/metadata/",
            fetcher=self._fetcher,
            bootstrap=self._root,
        )
        updater.refresh()
        return updater

    def _require_guard(self, updater: Updater, accepted: Accepted) -> None:
        guard = accepted.rule.guard
        info = updater.get_targetinfo(guard)
        if info is None:
            raise UnverifiedError(f"target {accepted.path}: its publisher's guard {guard} is missing")
        if info.length > GUARD_MAX_BYTES:
            raise UnverifiedError(f"guard {guard} has {info.length} bytes, at most {GUARD_MAX_BYTES}")
        digest = _sha256(info)
        folder, _, file = guard.rpartition("/")
        document = self._fetcher.download_bytes(f"{self._base}/targets/{folder}/{digest}.{file}", info.length)
        info.verify_length_and_hashes(document)
        require_allowed(guard, document, accepted.path)

    def _artifact(self, updater: Updater, accepted: Accepted) -> Artifact:
        info = updater.get_targetinfo(str(accepted.path))
        if info is None:
            raise UnverifiedError(f"target {accepted.path} is not in the signed metadata")
        return require_artifact(accepted, info.length, info.hashes, info.custom)

    def _download(self, artifact: Artifact, progress: Callable[[Progress], None]) -> Path:
        staged = self._staging_file(artifact)
        url = f"{self._base}/targets/{artifact.path.hashed(artifact.sha256)}"
        digest, received, began = hashlib.sha256(), 0, time.monotonic()
        told = began - _REPORT_SECONDS
        try:
            with staged.open("xb") as file:
                for chunk in self._fetcher.fetch(url):
                    received += len(chunk)
                    if received > artifact.length:
                        break
                    digest.update(chunk)
                    file.write(chunk)
                    now = time.monotonic()
                    if now - told >= _REPORT_SECONDS:
                        told = now
                        progress(_progress(received, artifact.length, now - began))
        except OSError as exc:
            raise HostError(f"cannot write {staged}: {exc.strerror}") from exc
        except DownloadError as exc:
            raise _ours(exc, f"target {artifact.path}", self._last_read()) from exc
        _require_bytes(artifact, received, Digest(digest.digest()))
        return staged


def _require_bytes(artifact: Artifact, received: int, digest: Digest) -> None:
    if received > artifact.length:
        raise UnverifiedError(f"target {artifact.path}: more than the signed {artifact.length} bytes came")
    if received != artifact.length or digest != artifact.sha256:
        raise UnverifiedError(
            f"target {artifact.path}: {received} bytes with digest {digest} came, "
            f"signed are {artifact.length} bytes with digest {artifact.sha256}"
        )


def _progress(received: int, length: int, seconds: float) -> Progress:
    return Progress(100.0 * received / max(1, length), received / seconds if seconds > 0 else 0.0)


def _sha256(info: TargetFile) -> Digest:
    if list(info.hashes) != ["sha256"]:
        raise UnverifiedError(f"target {info.path} is signed with {sorted(info.hashes)}, expected ['sha256']")
    return Digest.from_hex(info.hashes["sha256"])


class _Noting(FetcherInterface):
    """Remembers what was fetched last, because the TUF library's errors do not always name the file.

    And caps what is read into memory, because the library takes the online roles' word for its length.
    """

    def __init__(self, fetcher: FetcherInterface) -> None:
        self._fetcher = fetcher
        self.last = ""

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.last = url
        chunks: Iterator[bytes] = self._fetcher.fetch(url)
        return chunks

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Fetch a small file, whatever length somebody signed for it."""
        found: bytes = super().download_bytes(url, min(max_length, _METADATA_MAX_BYTES))
        return found


def _ours(exc: Exception, what: str, last: str) -> DistributionError:
    """Return our error for one of the TUF library's. The library's own text names both values."""
    why = f"{exc} (last read: {last})"
    if isinstance(exc, DownloadError):
        return UnreachableError(f"{what} cannot be fetched: {why}")
    if isinstance(exc, ExpiredMetadataError):
        return UnverifiedError(f"{what} is expired, so nothing new is installed: {why}")
    if isinstance(exc, RepositoryError):
        return UnverifiedError(f"{what} does not verify from the pinned root: {why}")
    if isinstance(exc, OSError):
        return HostError(f"{what} cannot be kept on this host: {exc}")
    return UnverifiedError(f"{what} cannot be read: {type(exc).__name__} (last read: {last})")
