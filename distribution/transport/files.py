"""How many files, and so how many connections, this process may have open."""

import contextlib
import resource


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # a limit that may not be raised stays
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft


_UNLIMITED = 1 << 20
