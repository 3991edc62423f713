"""The TUF client library, loaded without what an agent has no use for. Other files take its names from here.

The library loads `boto3` wherever it is installed, for signers in a cloud. An agent verifies and never
signs; on a host that has the server's packages too, that would cost every agent a second and 30 MB. So while
the library is loaded here, `boto3` is out of sight. Whoever loaded either before is left alone.
"""

import importlib
import sys

_UNWANTED = "boto3"

if _UNWANTED not in sys.modules and "tuf.api.metadata" not in sys.modules:
    sys.modules[_UNWANTED] = None  # type: ignore[assignment] # how Python is told that a module is absent
    try:
        importlib.import_module("tuf.api.metadata")
    finally:
        del sys.modules[_UNWANTED]

from tuf.api.exceptions import (  # noqa: E402 - after the above, on purpose
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    RepositoryError,
    SlowRetrievalError,
)

# The library does not mark what it re-exports, so a strict checker takes its public names for private ones.
from tuf.api.metadata import TargetFile  # type: ignore[attr-defined] # noqa: E402
from tuf.ngclient import FetcherInterface, Updater  # type: ignore[attr-defined] # noqa: E402

__all__ = [
    "DownloadError",
    "DownloadHTTPError",
    "ExpiredMetadataError",
    "FetcherInterface",
    "RepositoryError",
    "SlowRetrievalError",
    "TargetFile",
    "Updater",
]
