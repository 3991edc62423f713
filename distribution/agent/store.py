"""The agent's folder: one state file, versions side by side, one agent at a time.

    agent.toml          what the host fixes
    identity/ trust/    key and certificate; the pins (see credentials.py and pins.py)
    state.json          the single truth about what is installed; replaced atomically, never edited
    program.json        the program's process, so that an agent that was killed finds it again
    versions/<publisher>/<package>/<version>-<digest>/<file>   never changed once named by the state
    staging/            downloads; emptied at each start
    tuf/                metadata seen so far, so that older metadata is recognised
    log/                the program's output
    lock                held while an agent runs

Rule: data is on disk before a name points to it, and a name is on disk before anything acts on it.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from distribution.agent.state import Installed, State, from_json, to_json
from distribution.domain.package import Artifact, Digest
from distribution.errors import HostError

_CHUNK_BYTES = 1 << 20
_DIGEST_CHARACTERS = 16


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` atomically; the bytes are on disk before the name, the name before the return.

    Raises:
        HostError: the disk refused.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as exc:
        raise HostError(f"cannot write {path}: {exc.strerror}") from exc


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o750) -> Path:
    """Create a folder and its parents, on disk; return it. Raises HostError."""
    try:
        if not folder.is_dir():
            if not folder.parent.is_dir():
                make_folder(folder.parent, mode)
            folder.mkdir(mode=mode, exist_ok=True)
            sync_folder(folder.parent)
    except OSError as exc:
        raise HostError(f"cannot create folder {folder}: {exc.strerror}") from exc
    return folder


@contextlib.contextmanager
def lock(root: Path) -> Iterator[None]:
    """Hold the folder for this process. Raises HostError, naming the holder, if another one has it."""
    path = make_folder(root) / "lock"
    # Whoever can open the file can lock it, and so keep an agent from starting: nobody else may.
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
        os.fchmod(file.fileno(), 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise HostError(f"folder {root} is in use by the agent with pid {_holder(path)}") from exc
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        yield


def running_agent(root: Path) -> int | None:
    """Return the pid of the agent that holds the folder now, or None."""
    path = root / "lock"
    if not path.exists():
        return None
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(_holder(path)) if _holder(path).isdigit() else 0
    return None


def _holder(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace").strip() or "unknown"


class Store:
    """State and versions under the agent's folder. Only one thread writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.versions = root / "versions"
        self.staging = root / "staging"
        self._state_file = root / "state.json"

    def load(self) -> State:
        """Return the state, or an empty one on a new host. Raises HostError if it cannot be read."""
        try:
            return from_json(self._state_file.read_bytes(), str(self._state_file))
        except FileNotFoundError:
            return State()
        except OSError as exc:
            raise HostError(f"cannot read {self._state_file}: {exc.strerror}") from exc

    def save(self, state: State) -> None:
        """Make `state` the truth. Raises HostError."""
        write_file(self._state_file, to_json(state))

    def path_of(self, installed: Installed) -> Path:
        """Return where an installed file lies."""
        return self.versions / installed.file

    def staging_file(self, artifact: Artifact) -> Path:
        """Return where a download of `artifact` goes; whatever was staged before is removed.

        Only one file is ever on its way. Those that broke off would otherwise pile up, one for each release.
        """
        shutil.rmtree(self.staging, ignore_errors=True)
        return make_folder(self.staging) / f"{artifact.path.package}-{artifact.sha256}"

    def install(self, artifact: Artifact, staged: Path, offer_hash: bytes) -> Installed:
        """Move a verified download beside the versions; nothing points to it yet.

        Raises:
            HostError: the bytes on disk are not the artifact's, or the disk refused.
        """
        installed = Installed(
            version=artifact.path.version,
            sha256=artifact.sha256,
            type=artifact.type,
            file=_relative(artifact),
            offer_hash=offer_hash,
        )
        try:
            self._place(staged, self.path_of(installed))
        except OSError as exc:
            raise HostError(f"cannot install {artifact.path}: {exc.strerror}") from exc
        if not self.intact(installed):
            raise HostError(f"installed file {installed.file} does not have the digest {installed.sha256}")
        return installed

    def _place(self, staged: Path, path: Path) -> None:
        staged.chmod(0o750)
        descriptor = os.open(staged, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        make_folder(path.parent)
        staged.replace(path)
        sync_folder(path.parent)

    def intact(self, installed: Installed) -> bool:
        """Whether the installed file still has its digest."""
        try:
            return digest_of(self.path_of(installed)) == installed.sha256
        except OSError:
            return False

    def clean(self, state: State) -> None:
        """Remove staged downloads and every version that the state does not name."""
        shutil.rmtree(self.staging, ignore_errors=True)
        kept = {self.versions / file for file in state.files}
        for file in self.versions.glob("*/*/*/*"):
            if file not in kept:
                shutil.rmtree(file.parent, ignore_errors=True)


def _relative(artifact: Artifact) -> str:
    path = artifact.path
    folder = f"{path.version}-{str(artifact.sha256)[:_DIGEST_CHARACTERS]}"
    return f"{path.publisher}/{path.package}/{folder}/{path.file}"


def digest_of(path: Path) -> Digest:
    """Return the SHA-256 of a file. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return Digest(digest.digest())
