"""A store that dies at the n-th write: before it happens, or after, when nobody is told that it did."""

from collections.abc import Iterable

from storage.errors import UnavailableError
from storage.objects import ObjectInfo
from tests.fakes.memory_store import MemoryStore


class FailingStore(MemoryStore):
    """Counts writes from `arm` on; the chosen one raises UnavailableError, and so does all after it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self._fail_at = 0
        self._done_anyway = False

    def arm(self, fail_at: int, *, done_anyway: bool = False) -> None:
        """Fail at the `fail_at`-th write from now, 1 for the next; 0 never."""
        self.writes, self._fail_at, self._done_anyway = 0, fail_at, done_anyway

    def create(self, key: str, body: bytes) -> ObjectInfo:
        """Write once, or die."""
        self._before()
        info = super().create(key, body)
        self._after()
        return info

    def create_stream(self, key: str, chunks: Iterable[bytes]) -> ObjectInfo:
        """Write once, or die; counted once."""
        return self.create(key, b"".join(chunks))

    def replace(self, key: str, body: bytes, expected_etag: str) -> ObjectInfo:
        """Compare and set, or die."""
        self._before()
        info = super().replace(key, body, expected_etag)
        self._after()
        return info

    def _before(self) -> None:
        self.writes += 1
        if self._fail_at and (self.writes > self._fail_at or (self._hit() and not self._done_anyway)):
            raise UnavailableError(f"store died at write {self._fail_at}")

    def _after(self) -> None:
        if self._hit() and self._done_anyway:
            raise UnavailableError(f"store died after write {self._fail_at}")

    def _hit(self) -> bool:
        return self._fail_at == self.writes
