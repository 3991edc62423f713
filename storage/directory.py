"""Objects in a folder of the local disk: the embedded default, safe for many processes at once.

An object is a file at its key. `create` links a synced draft to the free name, which the system grants to
one caller; `replace` compares and renames under a lock that every process takes. A crash between any two
lines leaves the old object or the new one. The entity tag is the SHA-256 of the content, so a file that
somebody alters by hand gets another tag.

The folder must be on a file system with hard links and `flock` shared by all writers (one machine).
"""

import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from storage.errors import AlreadyExistsError, NotFoundError, PreconditionError, TooLargeError
from storage.folder import Draft, Folder, seam
from storage.objects import CHUNK_BYTES, InvalidKeyError, ObjectInfo, require_key, require_range

_REMEMBERED_TAGS = 4096
_REMEMBER_FROM_BYTES = CHUNK_BYTES  # smaller files are hashed faster than it is worth remembering


def _new_nonce() -> str:
    return uuid4().hex


class DirectoryStore:
    """Implements `storage.objects.ObjectStore` on a folder, which is made if it is missing."""

    def __init__(self, root: Path, new_nonce: Callable[[], str] = _new_nonce) -> None:
        """Open the folder and remove what writers that died left behind.

        Args:
            root: the folder; parents are made too.
            new_nonce: names for drafts; each call returns another one.

        Raises:
            UnavailableError: the folder cannot be made or read.
        """
        self._folder = Folder(root, new_nonce)
        self._tags = _Tags()

    def create(self, key: str, body: bytes) -> ObjectInfo:
        """See ObjectStore. Also raises InvalidKeyError if an object stands at a part of the key."""
        return self.create_stream(key, (body,))

    def create_stream(self, key: str, chunks: Iterable[bytes]) -> ObjectInfo:
        """See ObjectStore. Also raises InvalidKeyError if an object stands at a part of the key."""
        require_key(key)
        with self._folder.draft(key) as draft:
            for chunk in chunks:
                draft.write(chunk)
            with seam(f"object {key!r}"), self._folder.parent(key, make=True) as (folder, name):
                try:
                    self._folder.link(draft, folder, name)
                except FileExistsError as error:
                    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                        raise InvalidKeyError(f"object key {key!r} is a folder of other objects") from error
                    raise AlreadyExistsError(f"object {key!r} exists") from error
            return _info(key, draft)

    def replace(self, key: str, body: bytes, expected_etag: str) -> ObjectInfo:
        """See ObjectStore."""
        require_key(key)
        with self._folder.draft(key) as draft:
            draft.write(body)
            with seam(f"object {key!r}"), self._folder.locked(key):
                with self._folder.file(key) as descriptor:
                    current = _hash(descriptor)
                if current != expected_etag:
                    raise PreconditionError(f"object {key!r} has tag {current}, expected {expected_etag}")
                with self._folder.parent(key) as (folder, name):
                    self._folder.rename(draft, folder, name)
            return _info(key, draft)

    def read(self, key: str, max_bytes: int) -> tuple[bytes, ObjectInfo]:
        """See ObjectStore."""
        with self.open(require_key(key), 0, max_bytes + 1) as chunks:
            body = b"".join(chunks)
        if len(body) > max_bytes:
            raise TooLargeError(f"object {key!r} has more than {max_bytes} bytes")
        return body, ObjectInfo(key, len(body), hashlib.sha256(body).hexdigest())

    @contextmanager
    def open(self, key: str, start: int = 0, length: int | None = None) -> Iterator[Iterator[bytes]]:
        """See ObjectStore."""
        require_range(start, length)
        with self._folder.file(require_key(key)) as descriptor:
            yield _chunks(descriptor, key, start, length)

    def head(self, key: str) -> ObjectInfo:
        """See ObjectStore."""
        with self._folder.file(require_key(key)) as descriptor, seam(f"object {key!r}"):
            return ObjectInfo(key, os.fstat(descriptor).st_size, self._tags.of(descriptor))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ObjectStore. What is deleted while the caller iterates may be left out."""
        return self._walk("", prefix)

    def _walk(self, path: str, prefix: str) -> Iterator[ObjectInfo]:
        with seam(f"folder {path!r}"):
            names = self._folder.names(path)
        # A folder sorts as its name with the slash, which is where its keys stand among all keys.
        for name in sorted(name + "/" if is_folder else name for name, is_folder in names):
            key = f"{path}/{name}" if path else name
            if name.startswith("."):
                continue
            if name.endswith("/") and (key.startswith(prefix) or prefix.startswith(key)):
                yield from self._walk(key.rstrip("/"), prefix)
            elif not name.endswith("/") and key.startswith(prefix):
                try:
                    yield self.head(key)
                except (NotFoundError, InvalidKeyError):  # deleted meanwhile, or no object of ours
                    continue

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        require_key(key)
        with seam(f"object {key!r}"), self._folder.locked(key):
            try:
                with self._folder.parent(key) as (folder, name):
                    os.unlink(name, dir_fd=folder)
                    os.fsync(folder)
            except (FileNotFoundError, IsADirectoryError):
                return

    def presign_get(self, key: str, expires_in: timedelta) -> str | None:
        """Return None: a folder has no URL. The key is checked all the same."""
        require_key(key)
        return None

    def presign_put(self, key: str, expires_in: timedelta, sha256: bytes) -> str | None:
        """Return None: a folder has no URL. The key is checked all the same."""
        require_key(key)
        return None


def _info(key: str, draft: Draft) -> ObjectInfo:
    return ObjectInfo(key, draft.size, draft.etag)


def _chunks(descriptor: int, key: str, start: int, length: int | None) -> Iterator[bytes]:
    at, left = start, length
    while left is None or left > 0:
        with seam(f"object {key!r}"):
            chunk = os.pread(descriptor, CHUNK_BYTES if left is None else min(left, CHUNK_BYTES), at)
        if not chunk:
            return
        at += len(chunk)
        left = None if left is None else left - len(chunk)
        yield chunk


def _hash(descriptor: int) -> str:
    sha256, at = hashlib.sha256(), 0
    while chunk := os.pread(descriptor, CHUNK_BYTES, at):
        sha256.update(chunk)
        at += len(chunk)
    return sha256.hexdigest()


class _Tags:
    """Remembers the digests of large files, so that describing one does not read it every time.

    A file is known by device, inode, size and both times: a changed one is hashed again. `replace` never
    asks here; it hashes what it finds.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, ...], str] = OrderedDict()
        self._hashing: dict[tuple[int, ...], threading.Lock] = {}
        self._lock = threading.Lock()

    def of(self, descriptor: int) -> str:
        status = os.fstat(descriptor)
        if status.st_size < _REMEMBER_FROM_BYTES:
            return _hash(descriptor)
        file = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        with self._lock:
            if file in self._known:
                self._known.move_to_end(file)
                return self._known[file]
            hashing = self._hashing.setdefault(file, threading.Lock())
        with hashing:  # one reads it, however many ask
            with self._lock:
                if file in self._known:
                    return self._known[file]
            return self._remember(file, descriptor)

    def _remember(self, file: tuple[int, ...], descriptor: int) -> str:
        try:
            tag = _hash(descriptor)
        except BaseException:
            with self._lock:
                self._hashing.pop(file, None)
            raise
        with self._lock:
            self._known[file] = tag
            self._hashing.pop(file, None)
            if len(self._known) > _REMEMBERED_TAGS:
                self._known.popitem(last=False)
        return tag
