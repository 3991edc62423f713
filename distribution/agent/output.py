"""The program's output, bounded: one file it appends to and one older file, each of a fixed size.

The program writes to the file itself, not through the agent: an agent that dies takes no pipe away from
a running program. The price is that the file is cut by copying it and emptying it, which may lose lines
written in between.
"""

import os
import shutil
from pathlib import Path

from distribution.agent.store import make_folder
from distribution.errors import HostError

_TAIL_BYTES = 4096


class BoundedLog:
    """An append-only file of at most `max_bytes`, and one predecessor beside it."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._older = path.with_name(path.name + ".1")
        self._max_bytes = max_bytes

    def open(self) -> int:
        """Return a descriptor to hand to a program; the caller closes its own copy. Raises HostError."""
        make_folder(self.path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            return os.open(self.path, flags, 0o640)
        except OSError as exc:
            raise HostError(f"cannot open {self.path}: {exc.strerror}") from exc

    def rotate(self) -> bool:
        """Cut the file if it has outgrown its size; say whether it was. Raises HostError."""
        try:
            if not self.path.exists() or self.path.stat().st_size <= self._max_bytes:
                return False
            with self.path.open("r+b") as current, self._older.open("wb") as older:
                current.seek(-self._max_bytes, os.SEEK_END)
                shutil.copyfileobj(current, older)
                current.truncate(0)
        except OSError as exc:
            raise HostError(f"cannot rotate {self.path}: {exc.strerror}") from exc
        return True

    def tail(self, lines: int = 5) -> str:
        """Return the last lines, for the host's own log; never sent anywhere: it may hold secrets."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - _TAIL_BYTES))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
