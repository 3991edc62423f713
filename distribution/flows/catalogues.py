"""The catalogue that everybody in this process looks at, replaced as a whole when the repository moved.

Reading it costs nothing; loading it reads and verifies metadata, so it happens after a commit, at the start
and now and then, never for a message. A state that does not verify never replaces one that did; and one that
did is no longer shown once the first of its signatures has expired.
"""

import threading
from collections.abc import Callable
from datetime import datetime

from distribution.catalog.catalogue import Catalogue
from distribution.errors import UnverifiedError

Load = Callable[[datetime], Catalogue]
"""Loads and verifies the current state at a time, aware UTC (`catalog.catalogue.load`)."""


class Catalogues:
    """Holds the newest catalogue. Thread-safe; nothing is held until the first `reload`."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._newest: Catalogue | None = None

    def reload(self, now: datetime) -> Catalogue:
        """Load the current state and hold it, unless a newer one is held already.

        Raises:
            UnverifiedError: the current state does not verify. StorageError: the store cannot answer.
            Either way what was held before stays.
        """
        loaded = self._load(now)
        with self._lock:
            if self._newest is None or loaded.timestamp_version >= self._newest.timestamp_version:
                self._newest = loaded
            return self._newest

    def current(self, now: datetime) -> Catalogue:
        """Return the newest catalogue.

        Raises:
            UnverifiedError: none was loaded yet, or it has expired at `now`.
        """
        newest = self._newest
        if newest is None:
            raise UnverifiedError("catalogue was not loaded yet")
        if now >= newest.verified_until:
            raise UnverifiedError(
                f"catalogue of timestamp v{newest.timestamp_version} verified until "
                f"{newest.verified_until:%FT%TZ}, it is {now:%FT%TZ}"
            )
        return newest
