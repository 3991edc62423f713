"""Which state of a thing an operator's change is based on: shown with the thing, compared before the change.

A state is a digest of what the change would replace, so what is equal is one state, whoever wrote it and
when. Rules: it is compared in the very transaction that changes the thing; who names none means to replace
whatever is there. (An assignment of a configuration has steps that count, and names one of these instead.)
"""

import hashlib
import json
from typing import Final

from distribution.errors import ConflictError

NEW: Final = "new"
"""What a caller names who saw that there is none."""

PATTERN: Final = r"^(new|[0-9a-f]{32})$"
"""What a caller may name."""

_CHARS: Final = 32


def state_of(*parts: object) -> str:
    """Return the state of a thing that consists of these JSON values, in hexadecimal."""
    said = json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(said).hexdigest()[:_CHARS]


def require_state(what: str, expected: str | None, found: str | None, said: str = "") -> None:
    """Check that a thing is as its caller saw it.

    Args:
        what: how the thing is called, such as `channel 'stable'`.
        expected: the state that the caller saw, `NEW` for none; None where it named none: nothing is checked.
        found: the state it has, None if there is none.
        said: what that state is, in words, such as `acme/otelcol@1.0.0 by operator:ann`.

    Raises:
        ConflictError: somebody changed it since. It names both states.
    """
    if expected is None or expected == (found or NEW):
        return
    words = f" ({said})" if said else ""
    present = "is not there" if found is None else f"is at state {found}{words}"
    wanted = "expected to be new" if expected == NEW else f"expected at state {expected}"
    raise ConflictError(f"{what} {present}, {wanted}: somebody changed it meanwhile")
