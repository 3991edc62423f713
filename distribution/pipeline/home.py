"""A publisher's folder: its keys, its request, its pinned root and its memory of the repository.

    publisher.json       name, packages, and the URIs of both keys
    release.pem          the release key         release.state.json   what it signed
    guard.pem            the guard key           guard.state.json     what it signed
    <name>.request.json  what an operator signs a delegation for
    root.json            the pinned root         metadata/            what the TUF client saw last

A relative URI starts at the folder, so the folder may be moved with its keys. The keys may live elsewhere
(their URIs say where); the guard key better does, because whoever holds both can raise and lower what the
other could not.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

from distribution.catalog.delegation import guard_role, release_paths, require_publisher
from distribution.catalog.request import PublisherRequest, named
from distribution.domain.guard import Guard, guard_path
from distribution.errors import ConflictError, InvalidError, UnverifiedError
from distribution.pipeline.ports import PipelineServer
from distribution.pipeline.state import replace_file, require_fields
from keys.custody import file_uri, new_private_key, open_tuf_signer, write_private_key
from keys.metadata import Signer, SSlibKey, TargetFile, Targets, expiry, sign
from keys.roles import PUBLISHER_LIFETIME, ROOT_MAX_BYTES, require_key

_KEYS = ("release.pem", "guard.pem")
_FIELDS = {"publisher", "packages", "release_key", "guard_key"}


@dataclass(frozen=True, slots=True)
class Seat:
    """One role of the publisher, the key that signs it, and where its memory is."""

    publisher: str
    role: str
    key_uri: str
    state_file: Path
    lock_file: Path
    memory: Path
    """Folder of the TUF client."""
    root: bytes
    """The pinned root metadata."""


@dataclass(frozen=True, slots=True)
class Home:
    """A publisher's folder, opened."""

    folder: Path
    publisher: str
    packages: tuple[str, ...]
    release_key: str
    guard_key: str

    @property
    def request_file(self) -> Path:
        """The request to hand to an operator."""
        return self.folder / f"{self.publisher}.request.json"

    def release_seat(self, root: bytes) -> Seat:
        """Return the release role's seat over a pinned root."""
        return self._seat(self.publisher, self.release_key, "release", root)

    def guard_seat(self, root: bytes) -> Seat:
        """Return the guard role's seat over a pinned root."""
        return self._seat(guard_role(self.publisher), self.guard_key, "guard", root)

    def _seat(self, role: str, key_uri: str, name: str, root: bytes) -> Seat:
        memory = self.folder / "metadata"
        memory.mkdir(exist_ok=True)
        state, lock = self.folder / f"{name}.state.json", self.folder / "lock"
        return Seat(self.publisher, role, key_uri, state, lock, memory, root)

    def pin_root(self, server: PipelineServer, version: int, sha256: str) -> bytes:
        """Return the root that the operator's trust file pins; fetched once, then kept here.

        Args:
            server: where the bytes come from; they are believed only if their digest is the pinned one.
            version: the pinned version.
            sha256: the pinned digest of the file, in hexadecimal.

        Raises:
            UnverifiedError: the server's file, or the one kept here, is another.
        """
        path = self.folder / "root.json"
        kept = path.exists()
        root = path.read_bytes() if kept else fetch_root(server, version)
        found = hashlib.sha256(root).hexdigest()
        if found != sha256:
            where = f"in {str(path)!r}" if kept else "from the server"
            raise UnverifiedError(f"root v{version} {where} has sha256 {found}, pinned is {sha256}")
        if not kept:
            replace_file(path, root)
        return root


def fetch_root(server: PipelineServer, version: int) -> bytes:
    """Return a version of root as the server has it; the caller MUST compare it with its pin."""
    root = bytearray()
    for chunk in server.fetch(f"metadata/{version}.root.json"):
        root += chunk
        if len(root) > ROOT_MAX_BYTES:
            raise UnverifiedError(f"root v{version} is larger than {ROOT_MAX_BYTES} bytes")
    return bytes(root)


def create(folder: Path, publisher: str, packages: Sequence[str], now: datetime) -> Home:
    """Make a publisher's keys and its request, in a folder that is there and has none yet.

    Args:
        folder: existing; better not readable by others.
        publisher: its name, which begins all its target paths.
        packages: what it wants to publish.
        now: aware UTC.

    Raises:
        InvalidError: a name that cannot be one, or no package.
        ConflictError: the folder holds a publisher already.
        CustodyError: a key file exists already.
    """
    names = tuple(sorted(set(packages)))
    if not names:
        raise InvalidError(f"publisher {publisher!r} has no package to publish")
    release_paths(require_publisher(publisher), names)
    settings = folder / "publisher.json"
    if settings.exists():
        raise ConflictError(f"{str(settings)!r} exists already, expected an empty folder")
    for name in _KEYS:
        write_private_key(folder / name, new_private_key())
    release, guard = (f"file:{name}" for name in _KEYS)
    home = Home(folder, publisher, names, _located(folder, release), _located(folder, guard))
    replace_file(home.request_file, request(home, now).to_bytes())
    fields = {"publisher": publisher, "packages": list(names), "release_key": release, "guard_key": guard}
    replace_file(settings, json.dumps(fields, indent=2).encode() + b"\n")
    return home


def open_home(folder: Path) -> Home:
    """Open a publisher's folder. Raises InvalidError if it is none, or its file cannot be read."""
    path = folder / "publisher.json"
    try:
        found = require_fields(json.loads(path.read_bytes()), _FIELDS)
        packages = tuple(map(str, found["packages"]))
    except OSError as exc:
        raise InvalidError(f"publisher's file {str(path)!r} cannot be read: {exc.strerror}") from exc
    except (ValueError, TypeError) as exc:
        raise InvalidError(f"{str(path)!r} is no publisher's file") from exc
    publisher = require_publisher(str(found["publisher"]))
    release, guard = (_located(folder, str(found[name])) for name in ("release_key", "guard_key"))
    return Home(folder, publisher, packages, release, guard)


def _located(folder: Path, uri: str) -> str:
    """Return the URI of a key, a relative file's made absolute from the folder."""
    scheme, _, rest = uri.partition(":")
    if scheme != "file" or rest.startswith("/"):
        return uri
    return file_uri(folder / unquote(rest))


def request(home: Home, now: datetime) -> PublisherRequest:
    """Return the request of a publisher, with its proof: the first version of both roles."""
    release, guard = open_tuf_signer(home.release_key), open_tuf_signer(home.guard_key)
    file = Guard().to_bytes()
    target = TargetFile.from_data(guard_path(home.publisher), file, ["sha256"])
    made = PublisherRequest(
        publisher=home.publisher,
        packages=home.packages,
        release_key=_public(release),
        guard_key=_public(guard),
        release_role=_first_role(home, release, {}, now),
        guard_role=_first_role(home, guard, {target.path: target}, now),
        guard_file=file,
    )
    made.require_proof()
    return made


def _public(signer: Signer) -> SSlibKey:
    return require_key(signer.public_key)


def _first_role(home: Home, signer: Signer, targets: dict[str, TargetFile], now: datetime) -> bytes:
    role = Targets(
        expires=expiry(now, PUBLISHER_LIFETIME),
        targets=targets,
        unrecognized_fields=named(home.publisher, home.packages),
    )
    return sign(role, [signer])
