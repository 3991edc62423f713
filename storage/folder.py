"""The ground the directory store stands on: a folder entered step by step, drafts, locks, and `fsync`.

Rules kept here:

1. A key is walked one segment at a time and no symbolic link is followed, so no key leads out of the folder.
2. A draft is a locked file beside the key space. Its bytes are synced before its name becomes visible, and
   the name is synced before the caller hears of it.
3. A draft whose writer died is recognised by its free lock, never by its age, and removed at the next open.
4. Locks are a fixed set of files that are never deleted, so that nobody waits on a name that has gone.

It knows nothing of conditions and tags; `storage.directory` decides.
"""

import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from storage.errors import NotFoundError, UnavailableError, UnsuitableError
from storage.objects import InvalidKeyError

STAGING = ".staging"
"""Where drafts lie. No key can name it: a segment of a key never starts with a dot."""
LOCKS = ".locks"
"""Where the lock files lie."""

LOCK_PATIENCE_SECONDS = 30.0
"""How long a writer waits for another one; each holds the lock for one comparison and one rename."""
_FIRST_PAUSE_SECONDS = 0.0005
_LONGEST_PAUSE_SECONDS = 0.02
_DRAFT_ATTEMPTS = 16

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OWN_FILE_MODE = 0o600
_OWN_FOLDER_MODE = 0o700


@contextmanager
def seam(what: str) -> Iterator[None]:
    """Turn the operating system's errors into ours; `what` names the object.

    Raises:
        UnavailableError: the system refused (disk full, input/output error, no permission).
    """
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"{what}: {error.strerror or error}") from error


class Draft:
    """Bytes being written that nobody can see yet. Not shared between threads."""

    def __init__(self, descriptor: int, name: str, key: str) -> None:
        self.name = name
        self.size = 0
        self._descriptor = descriptor
        self._key = key
        self._sha256 = hashlib.sha256()

    @property
    def etag(self) -> str:
        """The digest of the bytes written so far, in hex."""
        return self._sha256.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Append. Raises UnavailableError."""
        view = memoryview(chunk)
        with seam(f"object {self._key!r}"):
            while view:
                view = view[os.write(self._descriptor, view) :]
        self._sha256.update(chunk)
        self.size += len(chunk)

    def sync(self) -> None:
        """Make the bytes durable. To be called before the draft gets its visible name."""
        os.fsync(self._descriptor)


class Folder:
    """One folder on the local disk. Safe for many threads and many processes at once."""

    def __init__(self, root: Path, new_nonce: Callable[[], str]) -> None:
        self._new_nonce = new_nonce
        self._settled: set[str] = set()  # folders whose own names are known to be durable
        with seam(f"folder {str(root)!r}"):
            root.mkdir(mode=_OWN_FOLDER_MODE, parents=True, exist_ok=True)
            self.root = root.resolve(strict=True)
            for name in (STAGING, LOCKS):
                (self.root / name).mkdir(mode=_OWN_FOLDER_MODE, exist_ok=True)
            self._remove_orphans()

    @contextmanager
    def parent(self, key: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Yield the open folder that holds `key`, and the key's last segment.

        Args:
            key: a checked key.
            make: create the folders on the way, each durable in its parent.

        Raises:
            FileNotFoundError: a folder on the way is missing.
            InvalidKeyError: `make`, and an object stands where a folder is needed.
            UnsuitableError: a symbolic link is on the way.
        """
        *folders, name = key.split("/")
        here = os.open(self.root, _FOLDER)
        try:
            for depth, folder in enumerate(folders, start=1):
                inner = self._enter(here, folder, "/".join(folders[:depth]), key, make=make)
                here, outer = inner, here
                os.close(outer)
            yield here, name
        finally:
            os.close(here)

    def _enter(self, here: int, folder: str, path: str, key: str, *, make: bool) -> int:
        unsettled = make and path not in self._settled
        if unsettled:
            with suppress(FileExistsError):
                os.mkdir(folder, _OWN_FOLDER_MODE, dir_fd=here)
            os.fsync(here)
        try:
            inner = os.open(folder, _FOLDER, dir_fd=here)
        except FileNotFoundError:
            if unsettled or not make:
                raise
            self._settled.discard(path)  # somebody removed it by hand
            return self._enter(here, folder, path, key, make=make)
        except NotADirectoryError:
            _refuse_link(here, folder, key)
            if make:
                raise InvalidKeyError(f"object key {key!r} cannot stand beside object {path!r}") from None
            raise FileNotFoundError(errno.ENOENT, "no such folder", path) from None
        if unsettled:
            self._settled.add(path)
        return inner

    @contextmanager
    def file(self, key: str) -> Iterator[int]:
        """Yield the open file of `key`. Raises NotFoundError, UnsuitableError, UnavailableError."""
        with ExitStack() as kept:
            with seam(f"object {key!r}"):
                descriptor = self._open_file(key)
                kept.callback(os.close, descriptor)
            yield descriptor

    def _open_file(self, key: str) -> int:
        missing = NotFoundError(f"object {key!r} does not exist")
        try:
            with self.parent(key) as (folder, name):
                _refuse_link(folder, name, key)
                descriptor = os.open(name, _FILE, dir_fd=folder)
        except FileNotFoundError as error:
            raise missing from error
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return descriptor
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise missing
        raise UnsuitableError(f"object {key!r} is no regular file")

    def names(self, path: str) -> list[tuple[str, bool]]:
        """Return what lies in folder `path` ("" is the top) and whether each is a folder; no links."""
        try:
            with self.parent(f"{path}/." if path else ".") as (folder, _), os.scandir(folder) as found:
                return [
                    (entry.name, entry.is_dir(follow_symlinks=False))
                    for entry in found
                    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
                ]
        except FileNotFoundError:
            return []

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Hold the lock that every conditional change of `key` takes, in any thread or process.

        Raises:
            UnavailableError: another holder kept it longer than `LOCK_PATIENCE_SECONDS`.
        """
        stripe = hashlib.sha256(key.encode()).hexdigest()[:2]
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.root / LOCKS / stripe, flags, _OWN_FILE_MODE)
        try:
            self._wait_for_lock(descriptor, key)
            yield
        finally:
            os.close(descriptor)  # which frees the lock, as the end of the process would

    def _wait_for_lock(self, descriptor: int, key: str) -> None:
        deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise UnavailableError(f"object {key!r} stayed locked for {LOCK_PATIENCE_SECONDS:g} s")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    @contextmanager
    def draft(self, key: str) -> Iterator[Draft]:
        """Yield a new draft for `key`; whatever is left of it at the end is removed."""
        with ExitStack() as kept:
            with seam(f"object {key!r}"):
                name, descriptor = self._new_draft(key)
            kept.callback(os.close, descriptor)
            kept.callback(self._remove_draft, name)
            yield Draft(descriptor, name, key)

    def _new_draft(self, key: str) -> tuple[str, int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        for _ in range(_DRAFT_ATTEMPTS):
            name = self._new_nonce()
            descriptor = os.open(self.root / STAGING / name, flags, _OWN_FILE_MODE)
            # Somebody who opens the folder at this moment may take the unlocked file for an orphan; the
            # link count says after the lock is ours whether that happened.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return name, descriptor
            os.close(descriptor)
        raise UnavailableError(f"object {key!r}: {_DRAFT_ATTEMPTS} drafts were swept away by others")

    def _remove_draft(self, name: str) -> None:
        with suppress(OSError):  # a leftover is removed at the next open
            (self.root / STAGING / name).unlink()

    def _remove_orphans(self) -> None:
        for orphan in (self.root / STAGING).iterdir():
            with suppress(FileNotFoundError):
                descriptor = os.open(orphan, _FILE)
                try:
                    if _try_lock(descriptor):
                        orphan.unlink()
                finally:
                    os.close(descriptor)

    def link(self, draft: Draft, folder: int, name: str) -> None:
        """Give the draft a name that is not taken. Raises FileExistsError, with the taker's name durable."""
        draft.sync()
        try:
            os.link(self.root / STAGING / draft.name, name, dst_dir_fd=folder, follow_symlinks=False)
        finally:
            os.fsync(folder)

    def rename(self, draft: Draft, folder: int, name: str) -> None:
        """Give the draft the name of the object that it replaces."""
        draft.sync()
        os.replace(self.root / STAGING / draft.name, name, dst_dir_fd=folder)
        os.fsync(folder)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_link(folder: int, name: str, key: str) -> None:
    if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise UnsuitableError(f"object {key!r} is behind symbolic link {name!r}, which is not followed")
