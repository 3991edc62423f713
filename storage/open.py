"""Opens the object store that a URL names: a folder (`file:`) or a bucket (`s3:`).

`file:objects` and `file:./objects` lie below the folder of the caller's choice, `file:/srv/objects` and
`file:///srv/objects` where they say. `s3://bucket/prefix` takes its credentials from the environment.
Anything else in the URL is refused rather than ignored.
"""

import re
from pathlib import Path

from storage.directory import DirectoryStore
from storage.errors import StorageError
from storage.objects import InvalidKeyError, ObjectStore, require_key

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FILE = "file:"
_S3 = "s3://"


class StoreUrlError(StorageError):
    """The text names no store."""


def open_store(
    url: str,
    *,
    base: Path,
    endpoint: str | None = None,
    region: str | None = None,
    ca_bundle: Path | None = None,
) -> ObjectStore:
    """Open the store.

    Args:
        url: `file:PATH` or `s3://BUCKET[/PREFIX]`.
        base: the folder that a relative path starts from.
        endpoint: URL of an S3-compatible server; None for AWS.
        region: the bucket's region; None takes it from the environment.
        ca_bundle: PEM file that the S3 server's certificate must chain to; None for the public ones.

    Raises:
        StoreUrlError: the URL is neither.
        UnavailableError: the folder cannot be made, or the client library refuses the settings.
    """
    folder = store_folder(url, base)
    if folder is not None:
        return DirectoryStore(folder)
    bucket, prefix = _bucket_and_prefix(url)
    from storage.s3.store import S3Store  # noqa: PLC0415 - the client library is optional and slow to load

    return S3Store(bucket=bucket, prefix=prefix, endpoint_url=endpoint, region=region, ca_bundle=ca_bundle)


def store_folder(url: str, base: Path) -> Path | None:
    """Return the folder of a store that is one, None for a bucket; nothing is opened or made.

    Raises:
        StoreUrlError: as `open_store`.
    """
    if url.startswith(_FILE):
        return base / _path(url)
    if url.startswith(_S3):
        _bucket_and_prefix(url)
        return None
    raise StoreUrlError(f"store {url!r} starts with neither {_FILE!r} nor {_S3!r}")


def _path(url: str) -> str:
    path = url.removeprefix(_FILE)
    if path.startswith("//"):
        path = path.removeprefix("//")
        if not path.startswith("/"):
            raise StoreUrlError(f"store {url!r} names a host, expected 'file:' and a path")
    if not path or "\0" in path:
        raise StoreUrlError(f"store {url!r} names no path")
    return path


def _bucket_and_prefix(url: str) -> tuple[str, str]:
    bucket, _, prefix = url.removeprefix(_S3).partition("/")
    prefix = prefix.rstrip("/")
    if _BUCKET.fullmatch(bucket) is None:
        raise StoreUrlError(f"store {url!r}: {bucket!r} is no bucket's name")
    if prefix:
        try:
            require_key(prefix)
        except InvalidKeyError as error:
            raise StoreUrlError(f"store {url!r}: {error}") from error
    return bucket, prefix
