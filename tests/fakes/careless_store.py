"""A store that takes a condition and ignores it, as some S3-compatible servers do."""

from collections.abc import Iterable
from dataclasses import replace

from storage.errors import AlreadyExistsError, PreconditionError
from storage.objects import ObjectInfo
from tests.fakes.memory_store import MemoryStore


class CarelessStore(MemoryStore):
    """A MemoryStore that ignores the conditions of the named methods."""

    def __init__(self, *ignores: str, mangles: bool = False, wandering_tags: bool = False) -> None:
        super().__init__()
        self._ignores = ignores
        self._mangles = mangles
        self._wandering_tags = wandering_tags

    def create(self, key: str, body: bytes) -> ObjectInfo:
        """Overwrite if told to."""
        try:
            return super().create(key, body + b"?" if self._mangles else body)
        except AlreadyExistsError:
            return self._overwrite("create", key, body, AlreadyExistsError)

    def create_stream(self, key: str, chunks: Iterable[bytes]) -> ObjectInfo:
        """Overwrite if told to."""
        body = b"".join(chunks)
        try:
            return super().create(key, body)
        except AlreadyExistsError:
            return self._overwrite("create_stream", key, body, AlreadyExistsError)

    def replace(self, key: str, body: bytes, expected_etag: str) -> ObjectInfo:
        """Overwrite if told to."""
        try:
            info = super().replace(key, body, expected_etag)
            return replace(info, etag="wandering") if self._wandering_tags else info
        except PreconditionError:
            return self._overwrite("replace", key, body, PreconditionError)

    def _overwrite(self, method: str, key: str, body: bytes, refusal: type[Exception]) -> ObjectInfo:
        if method not in self._ignores:
            raise refusal
        self.bodies[key] = body
        return self.head(key)
