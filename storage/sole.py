"""One holder at a time: a lock file that ends with its process, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import UnavailableError

_PID_MAX_BYTES = 32


@contextmanager
def sole_holder(path: Path) -> Iterator[None]:
    """Hold `path` for this process while the block runs; the file stays, and says who holds it.

    Raises:
        UnavailableError: another process holds it, and is named; or it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise UnavailableError(f"lock {str(path)!r} cannot be opened: {exc.strerror}") from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(descriptor, _PID_MAX_BYTES, 0).decode("ascii", "replace").strip() or "unknown"
            raise UnavailableError(
                f"{str(path)!r} is held by process {holder}, this is process {os.getpid()}"
            ) from exc
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
