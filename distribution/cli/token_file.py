"""An operator's token file: one line, `NAME.SECRET`, as `operator create` prints it.

No error shows anything of what such a file holds, also where that is no token.
"""

import re
from pathlib import Path

from distribution.errors import InvalidError

_FORM = re.compile(r"[a-z0-9][a-z0-9-]*\.[A-Za-z0-9_-]+")


def read_token(path: Path) -> str:
    """Return the token of a file. Raises InvalidError naming the file, and what is wrong with it."""
    try:
        lines = path.read_text(encoding="utf-8").strip().splitlines()
    except OSError as exc:
        raise InvalidError(f"token file {str(path)!r} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError:
        # Without the cause: it carries the file's bytes.
        raise InvalidError(f"token file {str(path)!r} is not text, expected a token") from None
    if not lines:
        raise InvalidError(f"token file {str(path)!r} is empty, expected one line with a token")
    if len(lines) > 1:
        raise InvalidError(f"token file {str(path)!r} has {len(lines)} lines, expected one with a token")
    if _FORM.fullmatch(lines[0]) is None:
        raise InvalidError(
            f"token file {str(path)!r} holds no operator's token: it is not of the form NAME.SECRET"
        )
    return lines[0]
