"""What many agents are told alike, serialised once per distinct content.

A message of protobuf is its fields one after the other, in any order, so a part that is bytes already is put
behind the rest, which is each agent's own. What is kept is named by the digest of its content and the number
of the try, as it is on the wire; it is bounded in bytes, and the oldest goes first.
"""

from collections.abc import Callable
from typing import Final

KEPT_MAX_BYTES: Final = 16 << 20
"""How many bytes of parts are kept, all together; larger ones than a quarter of that are not."""

Key = tuple[object, ...]
"""What a part is, to the last bit: its kind, its content's digest, the try, and what else goes into it."""


class Parts:
    """Serialised parts of messages. Belongs to the event loop."""

    def __init__(self, most: int = KEPT_MAX_BYTES) -> None:
        self._most = most
        self._kept: dict[Key, bytes] = {}
        self.size = 0
        """Bytes that are kept."""

    def part(self, key: Key, make: Callable[[], bytes]) -> bytes:
        """Return the part that `key` names; `make` serialises it if it is not kept."""
        found = self._kept.get(key)
        if found is None:
            found = make()
            if len(found) <= self._most // 4:
                self._keep(key, found)
        return found

    def _keep(self, key: Key, part: bytes) -> None:
        while self._kept and self.size + len(part) > self._most:
            oldest = next(iter(self._kept))
            self.size -= len(self._kept.pop(oldest))
        self._kept[key] = part
        self.size += len(part)
